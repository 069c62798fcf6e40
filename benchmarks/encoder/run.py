"""What might make the encoder of a text project faster, beside what it does: what pays is kept.

Run it in a text project that has trained (`make train`). Each way encodes the same real texts, in
turns, `--rounds` times; one text alone, and 1,000 at once as the service does (one thread, or the
card). Prints a table of medians with ratios to what ships, and writes results.json and results.md
beside itself.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

HERE = Path(__file__).parent
(PACKAGE,) = (path.parent.name for path in Path("src").glob("*/production"))
config, encoder = (import_module(f"{PACKAGE}.production.{name}") for name in ("config", "encoder"))
TEXTS = 1000  # of one request, at most
ALONE = 20  # texts that are asked one by one


class Wrapped:
    """A model that is called in another way."""

    def __init__(self, model: Any, call: Callable[..., Any]) -> None:
        self.config, self.device, self._call = model.config, model.device, call

    def __call__(self, **tensors: torch.Tensor) -> Any:
        return self._call(**tensors)


def ways(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield each way's name and its model; a way that this machine cannot go says so."""
    kind = model.device.type
    yield "as it ships", model
    yield "texts as they come, not by length", model

    def autocast(**tensors: torch.Tensor) -> Any:
        with torch.autocast(kind, torch.bfloat16):
            return model(**tensors)

    yield "autocast to bfloat16", Wrapped(model, autocast)
    yield "torch.compile, dynamic shapes", Wrapped(model, torch.compile(model, dynamic=True))
    if kind == "cpu":
        quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)
        yield "int8 weights, dynamic", Wrapped(model, quantized)


def vectors(name: str, texts: list[str], contract: Any) -> np.ndarray:
    if name != "texts as they come, not by length":
        return np.asarray(encoder.vectors(texts, contract.encoder))
    model, tokenizer = encoder.load(None, None, None)
    size, found = encoder.batch_size(), []
    for at in range(0, len(texts), size):
        ids = [each.ids for each in tokenizer.encode_batch(texts[at : at + size])]
        order = sorted(range(len(ids)), key=lambda n: len(ids[n]))  # _encode pads to the last
        made = encoder._encode(model, [ids[n] for n in order])
        found.append(made[np.argsort(order)])
    return np.concatenate(found)


def timed(name: str, texts: list[str], contract: Any) -> tuple[float, float]:
    """Return milliseconds of one text alone, and texts a second of all at once."""
    started = time.perf_counter()
    for text in texts[:ALONE]:
        vectors(name, [text], contract)
    alone = 1000 * (time.perf_counter() - started) / ALONE
    started = time.perf_counter()
    vectors(name, texts, contract)
    return alone, len(texts) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    contract = config.contract()
    column = next(name for name, rule in contract.columns.items() if rule.type == "text")
    rows = pl.read_parquet("data/valid.parquet", columns=[column])[column].drop_nulls().unique()
    texts = rows.sample(TEXTS, seed=1).to_list()
    spec = contract.encoder
    model, tokenizer = encoder.load(spec.name, spec.max_tokens, spec.millions)
    told: dict[str, Any] = {}
    models = dict(ways(model))
    first: np.ndarray | None = None
    for name, way in models.items():
        encoder.load = lambda *_, way=way: (way, tokenizer)
        started = time.perf_counter()
        try:
            made = vectors(name, texts, contract)
            vectors(name, texts[:1], contract)
        except Exception as error:  # a compiler may be missing
            told[name] = {"cannot": str(error).splitlines()[0][:150]}
            continue
        first = made if first is None else first
        told[name] = {
            "first_call_s": time.perf_counter() - started,
            "largest_difference": float(np.abs(made - first).max()),
            "alone_ms": [],
            "texts_per_s": [],
        }
        print(f"{name}: ready", flush=True)
    for number in range(rounds):
        for name, seen in told.items():
            if "cannot" not in seen:
                way = models[name]
                encoder.load = lambda *_, way=way: (way, tokenizer)
                alone, many = timed(name, texts, contract)
                seen["alone_ms"].append(alone)
                seen["texts_per_s"].append(many)
        print(f"round {number + 1} of {rounds}", flush=True)
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    where = card or f"one thread of {platform.machine()}, no card"
    story = {"where": where, "texts": TEXTS, "rounds": rounds, "torch": torch.__version__}
    report = table(story, told)
    (HERE / "results.json").write_text(json.dumps(story | {"ways": told}, indent=1) + "\n")
    (HERE / "results.md").write_text(report)
    print(report)


def table(story: dict[str, Any], told: dict[str, Any]) -> str:
    """Return the medians, and in brackets how many times as fast as what ships."""
    lines = [
        f"{story['texts']:,} real texts on {story['where']}; PyTorch {story['torch']}; medians of"
        f" {story['rounds']} rounds, in brackets: times as fast as what ships.",
        "",
        "| | one text alone, ms | texts a second, 1,000 at once | first call, s"
        " | largest difference |",
        "|---|---:|---:|---:|---:|",
    ]
    ships = next(iter(told.values()))
    base = {key: statistics.median(ships[key]) for key in ("alone_ms", "texts_per_s")}
    for name, seen in told.items():
        if "cannot" in seen:
            lines.append(f"| {name} | does not run here: {seen['cannot']} | | | |")
            continue
        alone, many = (statistics.median(seen[key]) for key in ("alone_ms", "texts_per_s"))
        lines.append(
            f"| {name} | {alone:.1f} ({base['alone_ms'] / alone:.2f})"
            f" | {many:,.0f} ({many / base['texts_per_s']:.2f})"
            f" | {seen['first_call_s']:.1f} | {seen['largest_difference']:.1g} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
