"""The past as it was known at the moment of prediction, online: outcomes by key, looked up in one SQLite file."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import config

LAST = "select {} from events where series = ? and key = ? and known < ? order by known desc, seq desc limit {}"
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
            columns = {name for _, name, *_ in self._db.execute("pragma table_info(events)")}
            self._asked = []
            for name, past in history.items():
                few = (past.mean, 1) if past.mean in columns else ("value", past.last)
                self._asked.append((name, LAST.format(*few), series[past.series], past.by))
            self._seen = (stat.st_ino, stat.st_mtime_ns)
        when, found = moments([row[self._contract.clock] for row in rows], self._contract).tolist(), []
        for row, moment in zip(rows, when, strict=True):
            known = {}
            for name, last, series, by in self._asked:
                key = [row[part] for part in by]
                told = self._db.execute(last, (series, BETWEEN.join(map(str, key)), moment)).fetchall()
                known[name] = np.nan if None in key else _mean(told)
            found.append(row | known)
        return found


def moments(times: Sequence[Any] | np.ndarray, contract: config.Contract) -> np.ndarray:
    """Return when each row is predicted, int64 microseconds since 1970: its time, less the lead."""
    return np.array(times, "datetime64[us]").astype(np.int64) - round(contract.lead_minutes * 60e6)


def _mean(recent: list[tuple[float]]) -> float:
    total = 0.0
    for (value,) in recent:  # newest first, as history.py adds them
        total += value
    return total / len(recent) if recent else np.nan
