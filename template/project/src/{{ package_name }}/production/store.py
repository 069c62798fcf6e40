"""The past as it was known at the moment of prediction, online: outcomes by key, looked up in one SQLite file."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import config

LAST = "select value from events where series = ? and key = ? and known < ? order by known desc, seq desc limit ?"
BETWEEN = "\x1f"  # the parts of a key; no text holds it
Rows = list[dict[str, Any]]


class Store:
    """The history of a contract's rows, read anew when the file is replaced."""

    def __init__(self, path: Path, contract: config.Contract) -> None:
        self._path, self._contract, self._seen = path, contract, (0, 0)

    def recall(self, rows: Rows) -> tuple[Rows, bool]:
        """Return the rows with their history (NaN: no past), and whether the store could be read."""
        try:
            return (self._look_up(rows) if self._contract.history else rows), True
        except (OSError, sqlite3.Error):
            return [row | dict.fromkeys(self._contract.history, np.nan) for row in rows], False

    def _look_up(self, rows: Rows) -> Rows:
        stat = self._path.stat()
        if self._seen != (stat.st_ino, stat.st_mtime_ns):
            self._seen = (0, 0)  # a file that cannot be read must not pass for the one before
            # It is replaced, never changed: without locks no reader waits for a writer.
            where = f"{self._path.resolve().as_uri()}?mode=ro&immutable=1"
            self._db = sqlite3.connect(where, uri=True, check_same_thread=False)
            series = dict(self._db.execute("select name, number from series").fetchall())
            history = self._contract.history
            if unheard_of := {past.series for past in history.values()} - set(series):
                raise sqlite3.DatabaseError(f"it holds no {unheard_of.pop()}: it was built for another contract")
            self._asked = [(name, series[past.series], past.by, past.last) for name, past in history.items()]
            self._seen = (stat.st_ino, stat.st_mtime_ns)
        when, found = moments([row[self._contract.clock] for row in rows], self._contract).tolist(), []
        for row, moment in zip(rows, when, strict=True):
            past = {}
            for name, series, by, last in self._asked:
                key = [row[part] for part in by]
                asked = (series, BETWEEN.join(map(str, key)), moment, last)
                past[name] = np.nan if None in key else _mean(self._db.execute(LAST, asked).fetchall())
            found.append(row | past)
        return found


def moments(times: Sequence[Any] | np.ndarray, contract: config.Contract) -> np.ndarray:
    """Return when each row is predicted, int64 microseconds since 1970: its time, less the lead."""
    return np.array(times, "datetime64[us]").astype(np.int64) - round(contract.lead_minutes * 60e6)


def _mean(recent: list[tuple[float]]) -> float:
    """Return what `mean` returns for one row, in the same order; for one row, arrays cost ten times as much."""
    total = 0.0
    for (value,) in recent:
        total += value
    return total / len(recent) if recent else np.nan


def mean(recent: np.ndarray) -> np.ndarray:
    """Return the mean of each row of float64 (rows, last), newest first and NaN where there is none: (rows,).

    Added column by column: one row and a million take the same steps, so offline and online agree bit for bit.
    """
    total, count = np.zeros(len(recent)), np.zeros(len(recent))
    for column in recent.T:
        there = ~np.isnan(column)
        total, count = total + np.where(there, column, 0.0), count + there
    found = np.full(len(recent), np.nan)
    np.divide(total, count, out=found, where=count > 0)
    return found
