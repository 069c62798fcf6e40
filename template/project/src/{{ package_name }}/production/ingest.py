"""Read your rows, give them the types that the contract means, and keep the old file when a source fails."""

import zipfile
from pathlib import Path

import polars as pl

from .. import ingest as yours
from . import config
from .columns import names, numbers, shuffled, thinned, times
from .stages import RAW, write

ROWS = "source_rows"  # in the metadata of data/raw.parquet
TORN = (OSError, ValueError, EOFError, zipfile.BadZipFile, pl.exceptions.PolarsError)


def ingest(source: str | None = None) -> None:
    """Read the source into data/raw.parquet; a source that fails leaves the old file as it was."""
    params, contract = config.params(), config.contract()
    source = source or params.source
    if not contract.columns:
        raise config.Problem("contract.yaml: columns is empty; `make contract` proposes them")
    kept, there = read(source, contract, params.rows)
    frame = typed(kept, contract)
    if twice := frame.height - frame[contract.key].n_unique():
        frame = frame.unique(contract.key, keep="first", maintain_order=True)
        print(f"ingest: {twice} rows came twice and count once")
    if not there:
        raise config.Problem(f"ingest: {source} has no rows; {RAW} is as it was")
    if (now := there - twice) < (before := _rows(RAW)):
        what = f"{source} has {now} rows, {RAW} was made of {before}: a torn source? {RAW} is as it was"
        raise config.Problem(f"ingest: {what}; if rows were meant to go, delete it and run again")
    write(RAW, frame, {ROWS: str(now)})
    share = f", an even share of its {there} (see rows in params.yaml)" if kept.height < there else ""
    print(f"ingest: {frame.height} rows, {frame.width} columns from {source}{share}")


def _rows(path: Path) -> int:
    """Return how many rows the source had when the file was made of it."""
    if not path.exists():
        return 0
    told = pl.read_parquet_metadata(path).get(ROWS)
    return int(told) if told else int(pl.scan_parquet(path).select(pl.len()).collect().item())


def read(source: str, contract: config.Contract, most: int) -> tuple[pl.DataFrame, int]:
    """Return the rows that your `ingest` reads, thinned to `most`, and how many there are."""
    try:
        rows = yours.ingest(source)
        if contract.key not in rows.collect_schema():
            rows = rows.with_row_index(contract.key)
        # With the nulls: Polars would map the whole file into memory to count rows alone.
        counted = rows.select(pl.len().alias("rows"), pl.col(contract.key).null_count())
        there = int(counted.collect(engine="streaming").item(0, "rows"))
        return rows.filter(thinned(contract.key, there, most)).collect(engine="streaming"), there
    except TORN as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise config.Problem(f"ingest: {source} cannot be read ({reason}); {RAW} is as it was; mend it") from error


def typed(frame: pl.DataFrame, contract: config.Contract) -> pl.DataFrame:
    """Return the rows in the order of time, with id, time, target, dates and units as the contract means them."""
    if lost := {contract.id, contract.time, contract.target} - {None, *frame.columns}:
        raise config.Problem(f"ingest: the source has no column {lost.pop()}; mend contract.yaml")
    if not contract.time:
        frame = frame.with_columns(shuffled(frame.height).alias(contract.clock))
    frame = frame.drop(contract.personal, strict=False)
    made = [pl.col(contract.key).cast(pl.String), times(frame[contract.clock]), _target(frame, contract)]
    made += [times(frame[name]) for name in {p.known for p in contract.history.values()} & set(frame.columns)]
    for name, column in contract.columns.items():
        if column.type == "datetime" and name in frame.columns:
            made.append(times(frame[name]))
        elif column.unit and frame.schema.get(name) == pl.String:
            made.append(numbers(frame[name], column.unit))
    return frame.with_columns(made).sort(contract.clock, contract.key)


def _target(frame: pl.DataFrame, contract: config.Contract) -> pl.Series:
    """Return the target as bool (binary), text (multiclass) or number (regression)."""
    target = frame[contract.target]
    if contract.classes:
        text = names(target)
        if unknown := sorted(set(text.drop_nulls().unique()) - set(contract.classes)):
            what = f"target {target.name} holds {unknown[0]}, which is not among classes"
            raise config.Problem(f"ingest: {what}; add it in contract.yaml, or mend the source")
        return text if contract.task == "multiclass" else (text == contract.classes[-1]).alias(target.name)
    if contract.task == "regression" and target.dtype.is_numeric():
        return target.cast(pl.Float64)
    if contract.task == "binary" and target.dtype == pl.Boolean:
        return target
    if contract.task == "binary" and target.dtype.is_numeric() and {*target.drop_nulls().unique()} <= {0, 1}:
        return target == 1
    shown = ", ".join(map(str, target.drop_nulls().unique().head(3)))
    what = f"target {target.name} does not fit the task {contract.task}; it holds {shown}"
    raise config.Problem(f"ingest: {what}; see task and classes in contract.yaml")
