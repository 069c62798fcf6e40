"""From values by column to the model's matrix: the one path of training and of serving."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import config

Columns = dict[str, np.ndarray]
Codes = dict[str, dict[str, float]]
DAY = np.timedelta64(1, "D")


def columns(values: Mapping[str, Sequence[Any]], contract: config.Contract) -> Columns:
    """Return one array per contract column and history feature, and the time: None becomes NaN or stays None.

    Dates become days since 1970, texts the vectors of their encoder, (rows, width).
    """
    told = ("string", "datetime", "text")
    numbers = [name for name, column in contract.columns.items() if column.type not in told]
    numbers += contract.history
    # In one step: for one row, an array per column is most of the work.
    found: Columns = dict(zip(numbers, np.array([values[name] for name in numbers], np.float64), strict=True))
    for name, column in contract.columns.items():
        if column.type == "string":
            found[name] = np.array(values[name], object)
        elif column.type == "datetime":
            when = np.array(values[name], "datetime64[us]")
            found[name] = np.where(np.isnat(when), np.nan, (when - np.datetime64("1970-01-01")) / DAY)
        elif column.type == "text":
            found[name] = importlib.import_module(".encoder", __package__).vectors(values[name], contract.encoder)
    if contract.time:
        found[contract.time] = np.array(values[contract.time], "datetime64[us]")
    return found


def flat(features: Columns) -> Columns:
    """Return features of one dimension each: a vector's are `name 0`, `name 1`, ..."""
    if all(array.ndim == 1 for array in features.values()):
        return features
    each = ({name: a} if a.ndim == 1 else {f"{name} {n}": x for n, x in enumerate(a.T)} for name, a in features.items())
    return {name: array for part in each for name, array in part.items()}


def levels(array: np.ndarray) -> list[str]:
    """Return the sorted levels of a text feature, at most the 1000 most frequent; [] for a number."""
    if array.dtype != object:
        return []
    known, counts = np.unique([value for value in array if value is not None], return_counts=True)
    return sorted(known[np.argsort(-counts, kind="stable")[:1000]].tolist())


def codes(levels: Mapping[str, Sequence[str]]) -> Codes:
    """Return, for each feature, the number of each of its levels: 0, 1, ...; {} for a number."""
    return {name: {level: float(code) for code, level in enumerate(known)} for name, known in levels.items()}


def encode(features: Columns, codes: Codes) -> np.ndarray:
    """Return float64 (rows, features) in the order of `codes`; an unknown level becomes NaN."""
    features = flat(features)
    if len(features[next(iter(codes))]) == 1:  # in one step: for one row, twenty assignments cost as much as the model
        each = [(features[name], known) for name, known in codes.items()]
        row = [known.get(a.item(), np.nan) if a.dtype == object else a.item() for a, known in each]
        return np.array([row], np.float64)
    encoded = np.empty((len(features[next(iter(codes))]), len(codes)))
    for place, (name, known) in enumerate(codes.items()):
        array = features[name]
        encoded[:, place] = [known.get(value, np.nan) for value in array] if array.dtype == object else array
    return encoded


def targets(values: Sequence[Any], contract: config.Contract) -> np.ndarray:
    """Return the target as float64 (rows,): 0 or 1, the number of the class, or the number itself; NaN if unknown."""
    codes = {name: code for code, name in enumerate(contract.classes)} if contract.task == "multiclass" else {}
    return np.array([codes.get(value, value) if codes else value for value in values], dtype=np.float64)


def error(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return by how much each prediction was wrong, float64 (rows,): of a class, what its probability lacked."""
    return np.asarray(1 - p[np.arange(len(y)), y.astype(int)] if p.ndim == 2 else y - p)


def same(one: Any, other: Any, tolerance: float) -> bool:
    """Return whether two answers, as JSON, are alike: numbers differ by so much at most, and nothing else does."""
    if not tolerance or type(one) is not type(other):
        return bool(one == other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other, [tolerance] * len(one)))
    # An alarm follows from its probability.
    return isinstance(one, bool) or (abs(one - other) <= tolerance if isinstance(one, float) else bool(one == other))


def outcome(p: np.ndarray, contract: config.Contract) -> np.ndarray:
    """Return predictions as one value per row, to be watched: the probability, the number, or the likeliest class."""
    return np.array(contract.classes, dtype=object)[p.argmax(axis=1)] if p.ndim == 2 else p
