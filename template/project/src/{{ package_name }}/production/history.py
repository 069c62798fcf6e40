"""The past as it was known at the moment of each prediction, offline: for all rows at once, without a look ahead."""

import contextlib
import os
import sqlite3
from pathlib import Path

import numpy as np
import polars as pl

from . import config
from .store import BETWEEN, Store, moments

CHECKED = 200  # rows on which the join and the look-up must agree


def as_of(frame: pl.DataFrame, contract: config.Contract) -> pl.DataFrame:
    """Return the valid rows with one float64 column per history feature: NaN where nothing was known yet."""
    found, moment = {}, pl.Series("moment", moments(frame[contract.clock].to_numpy(), contract))
    for name, past in contract.history.items():
        events = _events(frame, past, contract).rename({"known": "moment"})
        asked = frame.select(_key(past), moment).with_row_index("row").sort("moment")
        # Nothing to check: both are sorted, the events within their keys.
        met = asked.join_asof(events, on="moment", by="key", allow_exact_matches=False, check_sortedness=False)
        found[name] = met.sort("row")[past.mean].fill_null(np.nan)
    return frame.with_columns(values.alias(name) for name, values in found.items())


def build(frame: pl.DataFrame, contract: config.Contract, path: Path) -> None:
    """Write the store of the rows that `as_of` returns, once both agree; a reader sees the old file or the new one."""
    made = path.with_suffix(".tmp")
    made.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(made)) as db, db:
        db.execute("create table series (number integer primary key, name text)")
        # `value` is for a release that serves, and has another `last`.
        numbers = dict.fromkeys(["value", *(past.mean for past in contract.history.values())])
        kinds = ["series integer", "key text", "known integer", "seq integer", *(f"{name} real" for name in numbers)]
        db.execute(f"create table events ({', '.join(kinds)}, primary key (series, key, known, seq)) without rowid")
        # Two features that differ in `last` share their events.
        for number, past in enumerate({past.series: past for past in contract.history.values()}.values()):
            db.execute("insert into series values (?, ?)", (number, past.series))
            rows = _events(frame, past, contract).with_row_index("seq")
            columns = rows.select(pl.lit(number), "key", "known", "seq", *numbers).iter_rows()
            db.executemany(f"insert into events values ({', '.join('?' * len(kinds))})", columns)
    _check(frame, contract, made)
    os.replace(made, path)


def _check(frame: pl.DataFrame, contract: config.Contract, path: Path) -> None:
    """Refuse rows that know their own outcome, and a join that says else than the store, which asks row by row."""
    moment = pl.lit(moments(frame[contract.clock].to_numpy(), contract))
    for name, past in contract.history.items():
        if early := frame.filter(pl.col(past.known).dt.epoch("us") < moment).height:
            what = f"{early} rows have {past.known} before the moment of their prediction"
            raise config.Problem(f"featurize: history.{name}: {what}; mend ingest.py, or lead_minutes in contract.yaml")
    sample = frame.gather_every(max(1, frame.height // CHECKED))
    asked, read = Store(path, contract).recall(sample.select(contract.row).to_dicts())
    if not read:
        raise config.Problem(f"featurize: {path} cannot be read back; is the disk full?")
    for name in contract.history:
        joined, told = sample[name].to_numpy(), np.array([row[name] for row in asked])
        if wrong := np.flatnonzero((joined != told) & ~(np.isnan(joined) & np.isnan(told))).tolist():
            row, said = sample[contract.key][wrong[0]], f"{joined[wrong[0]]:g}, known was {told[wrong[0]]:g}"
            what = f"history.{name} of {len(wrong)} in {len(told)} rows is not what was known (row {row}: {said})"
            raise config.Problem(f"featurize: {what}; mend production/history.py")


def _key(past: config.Past) -> pl.Expr:
    return pl.concat_str(past.by, separator=BETWEEN).alias("key")


def _events(frame: pl.DataFrame, past: config.Past, contract: config.Contract) -> pl.DataFrame:
    """Return the outcomes that became known, in this order: key, known (microseconds since 1970), value, and with
    each the mean of the last ones of its key, for each `last` of the contract.
    """
    known, value = pl.col(past.known).dt.epoch("us").alias("known"), pl.col(past.of).cast(pl.Float64).alias("value")
    events = frame.select(_key(past), known, value, order=contract.key).drop_nulls().filter(pl.col("value").is_finite())
    events = events.sort("key", "known", "order").drop("order")
    before = events.select(pl.int_range(pl.len()).over("key")).to_series().to_numpy()
    values = events["value"].to_numpy()
    means = {each.mean: pl.Series(_means(values, before, each.last)) for each in contract.history.values()}
    return events.with_columns(**means)


def _means(values: np.ndarray, before: np.ndarray, last: int) -> np.ndarray:
    """Return the mean of each value and the `last` - 1 ahead of it, of which its key has so many `before` it."""
    total = values.copy()
    for back in range(1, last):
        there = np.flatnonzero(before >= back)
        total[there] += values[there - back]
    return np.asarray(total / np.minimum(before + 1, last))
