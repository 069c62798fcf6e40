"""The past as it was known at the moment of each prediction, offline: for all rows at once, without a look ahead."""

import contextlib
import os
import sqlite3
from pathlib import Path

import numpy as np
import polars as pl

from . import config
from .store import BETWEEN, Store, mean, moments

CHECKED = 200  # rows on which the join and the look-up must agree


def as_of(frame: pl.DataFrame, contract: config.Contract) -> pl.DataFrame:
    """Return the valid rows with one float64 column per history feature: NaN where nothing was known yet."""
    found, moment = {}, pl.Series("moment", moments(frame[contract.clock].to_numpy(), contract))
    for name, past in contract.history.items():
        events = _events(frame, past, contract).rename({"known": "moment"}).with_row_index("place")
        events = events.with_columns(first=pl.col("place").min().over("key"))
        asked = frame.select(_key(past), moment).with_row_index("row").sort("moment")
        # Nothing to check: both are sorted, the events within their keys.
        met = asked.join_asof(
            events, on="moment", by="key", strategy="backward", allow_exact_matches=False, check_sortedness=False
        )
        met = met.sort("row").with_columns(pl.col("place", "first").cast(pl.Int64))
        place, first = met["place"].fill_null(-1).to_numpy(), met["first"].fill_null(0).to_numpy()
        back = place[:, None] - np.arange(past.last)  # the newest first
        values = np.append(events["value"].to_numpy(), np.nan)
        found[name] = mean(np.where(back >= first[:, None], values[back], np.nan))
    return frame.with_columns(pl.Series(name, values) for name, values in found.items())


def build(frame: pl.DataFrame, contract: config.Contract, path: Path) -> None:
    """Write the store of the rows that `as_of` returns, once both agree; a reader sees the old file or the new one."""
    made = path.with_suffix(".tmp")
    made.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(made)) as db, db:
        db.execute("create table series (number integer primary key, name text)")
        db.execute(
            "create table events (series integer, key text, known integer, seq integer, value real,"
            " primary key (series, key, known, seq)) without rowid"
        )
        # Two features that differ in `last` share their events.
        for number, past in enumerate({past.series: past for past in contract.history.values()}.values()):
            db.execute("insert into series values (?, ?)", (number, past.series))
            rows = _events(frame, past, contract).with_row_index("seq")
            columns = rows.select(pl.lit(number), "key", "known", "seq", "value").iter_rows()
            db.executemany("insert into events values (?, ?, ?, ?, ?)", columns)
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
    """Return the outcomes that became known: key, known (microseconds since 1970), value, in this order."""
    known, value = pl.col(past.known).dt.epoch("us").alias("known"), pl.col(past.of).cast(pl.Float64).alias("value")
    events = frame.select(_key(past), known, value, order=contract.key).drop_nulls().filter(pl.col("value").is_finite())
    return events.sort("key", "known", "order").drop("order")
