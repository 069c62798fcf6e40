"""How far a window of rows lies from what the model was trained on, and how far is too far.

Real rows are not independent: textbook tests alarm in every quiet week. So the thresholds are learnt
from the past itself: how far did each past window lie from all the others?
"""

from typing import Any

import numpy as np

from .matrix import Columns

Profile = dict[str, dict[str, Any]]


def learn(features: Columns, window: np.ndarray, rows: int, floor: float) -> Profile:
    """Return bins, shares and threshold per column; `window` numbers each row's past window.

    Past windows are thinned to `rows` rows, as live ones are: the distance of two samples depends on
    their size. Threshold: mean + 3 standard deviations of the distances between one past window and
    the rest, at least `floor`.
    """
    groups = [thin(np.flatnonzero(window == w), rows) for w in np.unique(window)]
    groups = [group for group in groups if len(group) >= rows // 2]
    if len(groups) < 4:
        groups = [thin(part, rows) for part in np.array_split(np.arange(len(window)), 4)]
    profile: Profile = {}
    for name, array in features.items():
        bins = _bins(array)
        shares = np.array([_shares(array[group], bins) for group in groups])
        rest = (shares.sum(axis=0) - shares) / (len(groups) - 1)
        distances = [_distance(a, b) for a, b in zip(shares, rest, strict=True)]
        threshold = max(floor, float(np.mean(distances) + 3 * np.std(distances, ddof=1)))
        profile[name] = {"bins": bins, "shares": shares.mean(axis=0).tolist(), "threshold": threshold}
    return profile


def compare(profile: Profile, features: Columns) -> dict[str, float]:
    """Return each column's Jensen-Shannon distance (0 to 1) from the profile, over its threshold."""
    found = {}
    for name, column in profile.items():
        distance = _distance(np.array(column["shares"]), _shares(features[name], column["bins"]))
        found[name] = distance / column["threshold"]
    return found


def thin(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of the rows, evenly spaced."""
    return rows if len(rows) <= most else np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(int)])


def _bins(array: np.ndarray) -> list[Any]:
    if array.dtype == object:
        return sorted({value for value in array if value is not None})
    known = array[~np.isnan(array)]
    return np.unique(np.quantile(known, np.linspace(0.1, 0.9, 9))).tolist() if len(known) else []


def _shares(array: np.ndarray, bins: list[Any]) -> np.ndarray:
    """Return the share of rows per level or bin, then of unknown levels, then of missing."""
    if array.dtype == object:
        codes = {level: code for code, level in enumerate(bins)} | {None: len(bins) + 1}
        index = np.array([codes.get(value, len(bins)) for value in array], dtype=int)
    else:
        index = np.searchsorted(np.asarray(bins, dtype=float), array, side="right")
        index[np.isnan(array)] = len(bins) + 1
    return np.bincount(index, minlength=len(bins) + 2) / max(len(array), 1)


def _distance(p: np.ndarray, q: np.ndarray) -> float:
    middle = (p + q) / 2
    parts = [(a[a > 0] * np.log2(a[a > 0] / middle[a > 0])).sum() for a in (p, q)]
    return float(np.sqrt(max(sum(parts) / 2, 0.0)))
