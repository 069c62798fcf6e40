"""Score whole files of rows, apart from requests: with one release, its checks, its model and its answers.

This is part of the release. A piece of a file is one unit of work, whichever process does it.
"""

import functools
import importlib
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl  # not in the serving image
from polars import selectors

from . import config, releases, score
from .inputs import Decoder

ROOT, ABOUT = Path(__file__).parents[2], "batch.json"  # of the release; beside the answers: whose and to what
ROWS = 50_000  # in memory at once, per process


class Piece(NamedTuple):
    """So many rows of a Parquet file, from `start` on, and the file that their answers go to."""

    source: str
    start: int
    made: str


def submit(rows: str, to: str) -> int:
    """Let the release that serves answer on this machine, with its own code."""
    root = named(rows, to)
    extra = history() | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    words = ["-m", __name__, "run", str(Path(rows).resolve()), str(Path(to).resolve())]
    return subprocess.run([sys.executable, *words], cwd=root, env=os.environ | extra).returncode


def named(rows: str, to: str) -> Path:
    """Return the folder of the release that serves, once it is known to be whole and both folders are named."""
    if not rows or not to:
        raise config.Problem("batch: name the folders, ROWS=folder of Parquet files, TO=folder for their answers")
    root = releases.source(releases.stable() or releases.newest()).resolve()
    releases.verify(root)
    return root


def history() -> dict[str, str]:
    """Return the environment that names our store of history."""
    return {"HISTORY": str(Path("data/history.sqlite").resolve())}


def here(left: list[Piece]) -> Iterator[None]:
    """One process per core, but for a card: that is used best by one."""
    with ProcessPoolExecutor(1 if has_card() else None, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(answer, *piece) for piece in left]):
            yield done.result()


def run(rows: str, to: str, where: Callable[[list[Piece]], Iterator[None]] = here) -> int:
    """Write a file of answers for every piece that has none yet; 1 if more rows are broken than the contract allows."""
    pieces, contract = _pieces(Path(rows), Path(to)), config.contract(ROOT)
    left = [piece for piece in pieces if not Path(piece.made).exists()]
    for number, _ in enumerate(where(left), len(pieces) - len(left) + 1):
        print(f"batch: {number} of {len(pieces)} pieces", flush=True)
    answered = pl.scan_parquet([piece.made for piece in pieces])
    there, broken = answered.select(pl.len(), pl.col("problem").count()).collect().row(0)
    but = f"; {broken} have a `problem` instead" if broken else ""
    print(f"batch: {there - broken} of {there} rows answered into {to}{but}")
    return int(broken > contract.quarantine * there)


def answer(source: str, start: int, made: str) -> None:
    """Write the answers to one piece, each with the id of its row, or what is wrong with it."""
    engine, decoder = _loaded()
    contract, rows = engine.contract, pl.scan_parquet(source).slice(start, ROWS).collect()
    dates, exact = selectors.date().cast(pl.Datetime("us")), selectors.decimal().cast(pl.Float64)
    sent = rows.select(contract.row).with_columns(dates, exact).with_columns(selectors.datetime().dt.to_string("iso"))
    read = [_read(decoder, line) for line in sent.write_ndjson().rstrip("\n").split("\n")]
    asked, there = engine.store.recall([row for row in read if isinstance(row, dict)])
    if not there:
        raise config.Problem("batch: the store of history cannot be read; bring data/ to wherever rows are scored")
    said, told = iter(engine.ask(asked)), list[dict[str, Any]]()
    for row in read:
        p = next(said) if isinstance(row, dict) else None
        wrong = {"problem": row if isinstance(row, str) else "the model cannot answer this row"}
        told.append(wrong if p is None else engine.answers([p])[0])
    ids = rows[contract.id] if contract.id in rows.columns else pl.Series("row", range(start, start + len(read)))
    part = Path(made).with_suffix(f".{os.getpid()}")
    pl.DataFrame(told, _schema(contract)).insert_column(0, ids).write_parquet(part)
    os.replace(part, made)


def _pieces(rows: Path, to: Path) -> list[Piece]:
    """Cut the files into pieces; refuse a folder with answers of another release, or to other rows."""
    files = sorted(rows.glob("*.parquet")) if rows.is_dir() else [rows]
    try:
        facts = {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
        heights = [_height(file) for file in files]
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())[:200]
        raise config.Problem(f"batch: {rows} cannot be read ({reason}); ROWS names a folder of Parquet files") from None
    if not sum(heights):
        raise config.Problem(f"batch: {rows} has no rows; ROWS names a folder of Parquet files")
    release = releases.manifest(ROOT)["id"]
    about = json.dumps({"release": release, "rows": facts}, indent=1) + "\n"
    to.mkdir(parents=True, exist_ok=True)
    if any(to.iterdir()) and not ((to / ABOUT).exists() and (to / ABOUT).read_text(encoding="utf-8") == about):
        what = f"{to} holds something else than what release {release} says of these rows"
        raise config.Problem(f"batch: {what}; name a new folder, TO=folder")
    (to / ABOUT).write_text(about, encoding="utf-8")
    cuts = [(file, start) for file, height in zip(files, heights, strict=True) for start in range(0, height, ROWS)]
    return [Piece(str(file), start, str(to / f"{file.stem}-{start:012}.parquet")) for file, start in cuts]


def _height(file: Path) -> int:
    """Return how many rows a file has; refuse one that lacks a column."""
    scan = pl.scan_parquet(file)
    if lost := set(config.contract(ROOT).row) - set(scan.collect_schema()):
        raise config.Problem(f"batch: {file.name} has no column {min(lost)}; the contract asks for it")
    return int(scan.select(pl.len()).collect().item())


def has_card() -> bool:
    return (ROOT / "ops/derived/gpu.json").exists()


@functools.cache
def _loaded() -> tuple[score.Engine, Decoder]:
    engine = score.Engine(ROOT)
    return engine, Decoder(engine.contract)


def _read(decoder: Decoder, line: str) -> dict[str, Any] | str:
    """Return a row as the service reads it, or what is wrong with it."""
    try:
        return decoder.named(decoder.row(line.encode()))
    except msgspec.ValidationError as error:
        return str(error)


def _schema(contract: config.Contract) -> dict[str, Any]:
    each = pl.Struct(dict.fromkeys(contract.classes, pl.Float64))
    answers: dict[str, dict[str, Any]] = {
        "binary": {"probability": pl.Float64, "alarm": pl.Boolean},
        "multiclass": {"class": pl.String, "probabilities": each},
        "regression": {"value": pl.Float64},
    }
    return answers[contract.task] | {"problem": pl.String}


def main(**verbs: Callable[..., int]) -> int:
    """Run the verb that is asked for."""
    try:
        return verbs[sys.argv[1]](*sys.argv[2:])
    except config.Problem as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    # By its name, so that other processes find what they are to call.
    module = importlib.import_module(str(__spec__ and __spec__.name))
    sys.exit(main(submit=module.submit, run=module.run))
