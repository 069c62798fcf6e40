"""How far a window of rows lies from what the model was trained on, and how far is too far.

Real rows are not independent: textbook tests alarm in every quiet week. So each column's test is calibrated on the
past itself: how far did each past window lie from all the others?
"""

from itertools import pairwise
from typing import Any

import numpy as np

from . import config, matrix

Profile = dict[str, dict[str, Any]]
Axes = dict[str, list[list[float]]]  # of a vector feature: the middle, then directions
PREDICTION, ERROR = "its prediction", "its error"  # watched like columns


def learn(features: matrix.Columns, windows: list[np.ndarray], watch: config.Watch, columns: int) -> Profile:
    """Return bins, shares and threshold per feature; `windows` holds the rows of each past one, and `columns` says
    how many share the false alarms.

    Past windows are thinned as live ones are: the distance of two samples depends on their size. The threshold is
    the upper end of the prediction interval (Student's t) of the distances between one past window and the rest, at
    least watch.least_shift: below it nobody would care.
    """
    from scipy.special import stdtrit  # `make contract` runs without it

    groups = [thin(rows, watch.window_rows) for rows in windows if len(rows) >= watch.window_rows // 2]
    if len(groups) < 4:
        parts = np.array_split(np.arange(len(next(iter(features.values())))), 4)
        groups = [thin(part, watch.window_rows) for part in parts]
    # Windows in a row are alike: each confirmation counts half.
    chance = min(0.5, (watch.false_alarms_per_window / columns) ** (2 / (watch.confirm_windows + 1)))
    width = stdtrit(len(groups) - 1, 1 - chance) * np.sqrt(1 + 1 / len(groups))
    profile: Profile = {}
    for name, array in features.items():
        bins = matrix.levels(array) or deciles(array)
        each = np.array([shares(array[group], bins) for group in groups])
        rest = (each.sum(axis=0) - each) / (len(groups) - 1)
        far = [distance(one, others, bins) for one, others in zip(each, rest, strict=True)]
        threshold = max(watch.least_shift, float(np.mean(far) + width * np.std(far, ddof=1)))
        profile[name] = {"bins": bins, "shares": each.mean(axis=0).tolist(), "threshold": threshold}
    return profile


def axes(features: matrix.Columns) -> Axes:
    """Return, of each vector feature, its mean and the three directions in which it differs most."""
    made: Axes = {}
    for name, vectors in features.items():
        if vectors.ndim == 2:
            some = vectors[thin(np.flatnonzero(~np.isnan(vectors[:, 0])), 5000)].astype(np.float64)
            _, _, directions = np.linalg.svd(some - some.mean(axis=0), full_matrices=False)
            made[name] = np.vstack([some.mean(axis=0), directions[:3]]).round(5).tolist()
    return made


def watched(features: matrix.Columns, axes: Axes) -> matrix.Columns:
    """Return features with each vector as its places along its axes: numbers, that can be watched and drawn."""
    found = {name: array for name, array in features.items() if name not in axes}
    for name, (middle, *directions) in axes.items():
        places = (features[name] - np.array(middle)) @ np.array(directions).T
        found |= {f"{name}, axis {number}": place for number, place in enumerate(places.T, 1)}
    return found


def distance(p: np.ndarray, q: np.ndarray, bins: list[Any]) -> float:
    """Return which share of the rows lies elsewhere, at least: by level the total variation; of numbers the largest gap
    between the cumulative shares (Kolmogorov and Smirnov's), or between the missing.
    """
    if bins and isinstance(bins[0], str):
        return float(np.abs(p - q).sum() / 2)
    return float(max(np.abs(np.cumsum(p - q)[:-1]).max(), abs(p[-1] - q[-1])))


def moved(column: dict[str, Any], now: np.ndarray) -> str:
    """Say where more rows lie than did, of a column of the profile."""
    bins, before = column["bins"], np.array(column["shares"])
    most = int(np.argmax(now - before))
    if bins and isinstance(bins[0], str):
        place = [*(repr(level) for level in bins), "unknown levels", "missing"][most]
    else:
        inner = [f"{a:.4g}" if b == np.nextafter(a, np.inf) else f"{a:.4g} to {b:.4g}" for a, b in pairwise(bins)]
        ends = (f"below {bins[0]:.4g}", f"above {bins[-1]:.4g}") if bins else ("known", "known")
        place = [ends[0], *inner, ends[1], "missing"][most]
    return f"{place}: {before[most]:.0%} -> {now[most]:.0%}"


def thin(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of the rows, evenly spaced."""
    return rows if len(rows) <= most else np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(int)])


def deciles(array: np.ndarray) -> list[float]:
    """Return the inner borders of ten bins of the known values; a value that fills a bin by itself has its own."""
    known = array[:0] if array.dtype == object else array[~np.isnan(array)]
    if not len(known):  # a column that came later: of text, too
        return []
    cuts, times = np.unique(np.quantile(known, np.linspace(0.1, 0.9, 9)), return_counts=True)
    borders: list[float] = np.unique([*cuts, *np.nextafter(cuts[times > 1], np.inf)]).tolist()
    return borders


def assign(array: np.ndarray, bins: list[Any]) -> np.ndarray:
    """Return each value's bin, from 0 to len(bins) + 1: one for unknown levels, and the last for missing."""
    if array.dtype == object:
        codes = {level: code for code, level in enumerate(bins)} | {None: len(bins) + 1}
        return np.array([codes.get(value, len(bins)) for value in array], dtype=int)
    index = np.searchsorted(np.asarray(bins, dtype=float), array, side="right")
    return np.where(np.isnan(array), len(bins) + 1, index)


def shares(array: np.ndarray, bins: list[Any]) -> np.ndarray:
    """Return the share of the values in each bin."""
    return np.bincount(assign(array, bins), minlength=len(bins) + 2) / max(len(array), 1)
