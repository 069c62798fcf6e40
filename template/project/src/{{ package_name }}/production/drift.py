"""How far a window of rows lies from what the model was trained on, and how far is too far.

Real rows are not independent: textbook tests alarm in every quiet week. So the thresholds are learnt
from the past itself: how far did each past window lie from all the others?
"""

from typing import Any

import numpy as np

from . import config, matrix

Profile = dict[str, dict[str, Any]]


def learn(features: matrix.Columns, window: np.ndarray, watch: config.Watch) -> Profile:
    """Return bins, shares and threshold per column; `window` numbers each row's past window.

    Past windows are thinned as live ones are: the distance of two samples depends on their size.
    Threshold: mean + 3 standard deviations of the distances between one past window and the rest,
    at least watch.min_distance; + 10 where there are four windows or fewer (Student's t for as rare an event).
    """
    groups = [thin(np.flatnonzero(window == w), watch.window_rows) for w in np.unique(window)]
    groups = [group for group in groups if len(group) >= watch.window_rows // 2]
    few = len(groups) < 5
    if len(groups) < 4:
        groups = [thin(part, watch.window_rows) for part in np.array_split(np.arange(len(window)), 4)]
    profile: Profile = {}
    for name, array in features.items():
        bins = matrix.levels(array) or deciles(array)
        shares = np.array([_shares(array[group], bins) for group in groups])
        rest = (shares.sum(axis=0) - shares) / (len(groups) - 1)
        distances = [_distance(a, b) for a, b in zip(shares, rest, strict=True)]
        threshold = max(watch.min_distance, float(np.mean(distances) + (10 if few else 3) * np.std(distances, ddof=1)))
        profile[name] = {"bins": bins, "shares": shares.mean(axis=0).tolist(), "threshold": threshold}
    return profile


def compare(profile: Profile, features: matrix.Columns) -> dict[str, float]:
    """Return each column's Jensen-Shannon distance (0 to 1) from the profile, over its threshold."""
    far = {name: _distance(np.array(c["shares"]), _shares(features[name], c["bins"])) for name, c in profile.items()}
    return {name: distance / profile[name]["threshold"] for name, distance in far.items()}


def thin(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of the rows, evenly spaced."""
    return rows if len(rows) <= most else np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(int)])


def deciles(array: np.ndarray) -> list[float]:
    """Return the inner borders of ten bins of the known values."""
    known = array[~np.isnan(array)]
    return np.unique(np.quantile(known, np.linspace(0.1, 0.9, 9))).tolist() if len(known) else []


def assign(array: np.ndarray, bins: list[Any]) -> np.ndarray:
    """Return each value's bin, from 0 to len(bins) + 1: one for unknown levels, and the last for missing."""
    if array.dtype == object:
        codes = {level: code for code, level in enumerate(bins)} | {None: len(bins) + 1}
        return np.array([codes.get(value, len(bins)) for value in array], dtype=int)
    index = np.searchsorted(np.asarray(bins, dtype=float), array, side="right")
    return np.where(np.isnan(array), len(bins) + 1, index)


def _shares(array: np.ndarray, bins: list[Any]) -> np.ndarray:
    return np.bincount(assign(array, bins), minlength=len(bins) + 2) / max(len(array), 1)


def _distance(p: np.ndarray, q: np.ndarray) -> float:
    middle = (p + q) / 2
    parts = [(a[a > 0] * np.log2(a[a > 0] / middle[a > 0])).sum() for a in (p, q)]
    return float(np.sqrt(max(sum(parts) / 2, 0.0)))
