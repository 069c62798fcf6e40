"""The files of the prediction log: what no worker writes to any more becomes Parquet; all are read as one table."""

import fcntl
import io
import os
import time
from pathlib import Path
from typing import Any

import polars as pl

from .columns import thinned

Schema = dict[str, Any]  # Polars types, by column
LOCK, LEVEL = Path("run/predictions.lock"), 12  # zstd: 25 bytes a row; at 3 it is 28, at 19 it takes 20 times as long


def read(schema: Schema, most: int = 1 << 40, newest: int = 0) -> pl.DataFrame:
    """Return every entry so far with these columns, null where an entry has none; pack what is whole.

    Of more than `most`, an even share by id is kept; `stands_for` says how many entries each stands for. With `newest`,
    those of the newest files of each kind alone: as many, whatever the log has grown to.
    """
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of those who read and pack; no worker waits for it
        for path in Path().glob("run/*/predictions-*.jsonl"):
            _pack(path)
        packed, open_still = (_files(kind)[-newest:] for kind in ("parquet", "jsonl"))
        parts = [pl.scan_parquet(path) for path in packed] + [_lines(path).lazy() for path in open_still]
        entries = [_fit(part, schema) for part in parts]
        rows = sum(part.select(pl.len()).collect().item() for part in entries)
        # One file after the other: as much memory as one takes.
        kept = (part.filter(thinned("id", rows, most)).collect() for part in entries)
        some = pl.concat([pl.DataFrame(schema=schema), *kept])
    return some.with_columns(stands_for=pl.lit(round(rows / max(some.height, 1), 9)))


def _files(kind: str) -> list[Path]:
    """Return the files of both slots, oldest first: their names begin with the time."""
    return sorted(Path().glob(f"run/*/predictions-*.{kind}"), key=lambda path: path.name)


def retire(days: float) -> int:
    """Delete packed files that were written so many days ago; return how many."""
    for path in (old := [path for path in _files("parquet") if time.time() - path.stat().st_mtime > days * 86400]):
        path.unlink()
    return len(old)


def _pack(path: Path) -> None:
    """Turn a file into Parquet, unless a worker holds it or has just made it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if not path.stat().st_size:  # a worker is about to lock it
            return
        made = path.with_suffix(".parquet")
        if not made.exists():  # else the last run stopped between the two steps below
            _lines(path).write_parquet(part := made.with_suffix(".part"), compression="zstd", compression_level=LEVEL)
            os.replace(part, made)
        path.unlink()


def _lines(path: Path) -> pl.DataFrame:
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]  # kill -9 may have cut the last line, which was then never answered
    return pl.read_ndjson(io.BytesIO(whole), infer_schema_length=None) if whole else pl.DataFrame()


def _fit(part: pl.LazyFrame, schema: Schema) -> pl.LazyFrame:
    """Return a part in the columns of `schema`; releases with another contract log other rows."""
    found = part.collect_schema()
    fitted = [_column(pl.col(name), found.get(name), kind).alias(name) for name, kind in schema.items()]
    return part.select(fitted) if found else pl.LazyFrame(schema=schema)


def _column(column: pl.Expr, found: Any, wanted: Any) -> pl.Expr:
    if found is None or found == pl.Null:
        return pl.lit(None, wanted)
    if isinstance(wanted, pl.Struct) and isinstance(found, pl.Struct):
        have = {field.name: field.dtype for field in found.fields}
        parts = [(field.name, have.get(field.name), field.dtype) for field in wanted.fields]
        inner = [_column(column.struct.field(name), old, new).alias(name) for name, old, new in parts]
        return pl.when(column.is_not_null()).then(pl.struct(inner))
    if found == pl.String and wanted.is_temporal():
        return column.str.to_datetime(time_unit="us", strict=False)
    return column.cast(wanted, strict=False)  # under another contract a column may have been text
