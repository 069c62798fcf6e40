"""How good a set of predictions is, with confidence intervals that respect dependent rows."""

import numpy as np


def auc(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the area under the ROC curve; ties count half; NaN when one class is missing."""
    _, rank = np.unique(p, return_inverse=True)
    weight = np.ones(len(y)) if weight is None else weight
    positive, negative = np.bincount(rank, weight * y), np.bincount(rank, weight * (1 - y))
    pairs = positive.sum() * negative.sum()
    return float((positive * (np.cumsum(negative) - negative / 2)).sum() / pairs) if pairs else float("nan")


def auc_intervals(y: np.ndarray, ps: list[np.ndarray], blocks: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % intervals of each prediction's AUC and of its lead over the first one: (predictions, 2) each.

    Whole blocks (days) are drawn with replacement, because the rows of a day are alike: drawing
    rows would give intervals that are too narrow.
    """
    names, block = np.unique(blocks, return_inverse=True)
    rng = np.random.default_rng(seed)
    draws = [np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names)) for _ in range(200)]
    found = np.array([[auc(y, p, drawn[block]) for p in ps] for drawn in draws])
    ends = (2.5, 97.5)
    return np.nanpercentile(found, ends, axis=0).T, np.nanpercentile(found - found[:, :1], ends, axis=0).T


def calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    """Return the mean gap between predicted and observed rate over ten equally filled bins."""
    parts = np.array_split(np.argsort(p, kind="stable"), 10)
    return float(np.mean([abs(p[part].mean() - y[part].mean()) for part in parts if len(part)]))
