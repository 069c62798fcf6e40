"""From values by column to the model's matrix: the one path of training and of serving."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import config

Columns = dict[str, np.ndarray]
DAY = np.timedelta64(1, "D")


def columns(values: Mapping[str, Sequence[Any]], contract: config.Contract) -> Columns:
    """Return one array per contract column and history feature, and the time: None becomes NaN or stays None.

    Dates become days since 1970.
    """
    kinds: dict[str, Any] = {"string": object, "datetime": "datetime64[us]"}
    found = {name: np.array(values[name], kinds.get(c.type, np.float64)) for name, c in contract.columns.items()}
    for name, column in contract.columns.items():
        if column.type == "datetime":
            days = (found[name] - np.datetime64("1970-01-01")) / DAY
            found[name] = np.where(np.isnat(found[name]), np.nan, days)
    found |= {name: np.array(values[name], np.float64) for name in contract.history}
    if contract.time:
        found[contract.time] = np.array(values[contract.time], "datetime64[us]")
    return found


def levels(array: np.ndarray) -> list[str]:
    """Return the sorted levels of a text feature, at most the 1000 most frequent; [] for a number."""
    if array.dtype != object:
        return []
    known, counts = np.unique([value for value in array if value is not None], return_counts=True)
    return sorted(known[np.argsort(-counts, kind="stable")[:1000]].tolist())


def encode(features: Columns, levels: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Return float64 (rows, features) in the order of `levels`; an unknown level becomes NaN."""
    encoded = []
    for name, known in levels.items():
        array = features[name]
        if array.dtype == object:
            codes = {level: float(code) for code, level in enumerate(known)}
            array = np.array([codes.get(value, np.nan) for value in array])
        encoded.append(np.asarray(array, dtype=np.float64))
    return np.column_stack(encoded)


def targets(values: Sequence[Any], contract: config.Contract) -> np.ndarray:
    """Return the target as float64 (rows,): 0 or 1, the number of the class, or the number itself; NaN if unknown."""
    codes = {name: code for code, name in enumerate(contract.classes)} if contract.task == "multiclass" else {}
    return np.array([codes.get(value, value) if codes else value for value in values], dtype=np.float64)


def outcome(p: np.ndarray, contract: config.Contract) -> np.ndarray:
    """Return predictions as one value per row, to be watched: the probability, the number, or the likeliest class."""
    return np.array(contract.classes, dtype=object)[p.argmax(axis=1)] if p.ndim == 2 else p
