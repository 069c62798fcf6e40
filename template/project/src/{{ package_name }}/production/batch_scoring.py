"""Score whole files of rows, apart from requests: with one release, its checks, its model and its answers.

This is part of the release, and a piece of a file is one unit of work. So this machine and a cluster of many call the
same function, and the release's folder is all that `ray job submit` sends.
"""

import functools
import importlib
import json
import multiprocessing
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
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


def submit(rows: str, to: str, ray: str = "") -> int:
    """Let the release that serves answer; here, or on the Ray cluster at an address such as http://head:8265."""
    if not rows or not to:
        raise config.Problem("batch: name the folders, ROWS=folder of Parquet files, TO=folder for their answers")
    root = releases.source(releases.stable() or releases.newest()).resolve()
    releases.verify(root)
    history = {"HISTORY": str(Path("data/history.sqlite").resolve())}
    words = ["-m", __name__, "run", str(Path(rows).resolve()), str(Path(to).resolve())]
    if not ray:
        environment = os.environ | history | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        return subprocess.run([sys.executable, *words], cwd=root, env=environment).returncode
    try:
        urllib.request.urlopen(f"{ray}/api/version", timeout=10).close()
    except (OSError, ValueError) as error:
        what = f"no Ray cluster answers at {ray} ({error})"
        raise config.Problem(f"batch: {what}; RAY=http://head:8265 names its head") from None
    sent = ["--working-dir", str(root), "--runtime-env-json", json.dumps({"env_vars": history})]
    return subprocess.run(["ray", "job", "submit", "--address", ray, *sent, "--", "python", *words, "ray"]).returncode


def run(rows: str, to: str, where: str = "") -> int:
    """Write a file of answers for every piece that has none yet; 1 if more rows are broken than the contract allows."""
    pieces, contract = _pieces(Path(rows), Path(to)), config.contract(ROOT)
    todo = [piece for piece in pieces if not Path(piece.made).exists()]
    done = len(pieces) - len(todo)
    for number, _ in enumerate((_on_ray if where else _here)(todo), done + 1):
        print(f"batch: {number} of {len(pieces)} pieces", flush=True)
    answered = pl.scan_parquet([piece.made for piece in pieces])
    there, broken = answered.select(pl.len(), pl.col("problem").count()).collect().row(0)
    print(f"batch: {there} rows answered into {to}, but {broken} that have a `problem`")
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


def _here(todo: list[Piece]) -> Iterator[None]:
    """One process per core, but for a card: that is used best by one."""
    with ProcessPoolExecutor(1 if _has_card() else None, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(answer, *piece) for piece in todo]):
            yield done.result()


def _on_ray(todo: list[Piece]) -> Iterator[None]:
    """One core or one card of the cluster per piece; Ray tries again what a lost node was at."""
    import ray  # not on a machine that scores alone

    ray.init()
    ask = ray.remote(num_cpus=1, num_gpus=int(_has_card()))(answer)
    waiting = [ask.remote(*piece) for piece in todo]
    while waiting:
        done, waiting = ray.wait(waiting)
        try:
            yield from ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None


def _has_card() -> bool:
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


def main() -> int:
    try:
        return {"submit": submit, "run": run}[sys.argv[1]](*sys.argv[2:])
    except config.Problem as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    # By its name, so that other processes find what they are to call.
    sys.exit(importlib.import_module(str(__spec__ and __spec__.name)).main())
