"""How good a set of predictions is, with confidence intervals that respect dependent rows."""

import numpy as np


def auc(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the area under the ROC curve; ties count half; NaN when one class is missing."""
    _, rank = np.unique(p, return_inverse=True)
    weight = np.ones(len(y)) if weight is None else weight
    positive, negative = np.bincount(rank, weight * y), np.bincount(rank, weight * (1 - y))
    pairs = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / pairs) if pairs else float("nan")


def auc_interval(
    y: np.ndarray, ps: list[np.ndarray], blocks: np.ndarray, seed: int, draws: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % intervals of each prediction's AUC and of its lead over the first one.

    Whole blocks (days) are drawn with replacement, because the rows of a day are alike: drawing
    rows would give intervals that are too narrow. Both results have shape (predictions, 2).
    """
    names, block = np.unique(blocks, return_inverse=True)
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(draws):
        drawn = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        scores.append([auc(y, p, drawn[block]) for p in ps])
    found = np.array(scores)
    leads = found - found[:, :1]
    ends = (2.5, 97.5)
    return np.nanpercentile(found, ends, axis=0).T, np.nanpercentile(leads, ends, axis=0).T


def calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    """Return the mean gap between predicted and observed rate over ten equally filled bins."""
    parts = np.array_split(np.argsort(p, kind="stable"), 10)
    return float(np.mean([abs(p[part].mean() - y[part].mean()) for part in parts if len(part)]))


def value_per_1000(y: np.ndarray, p: np.ndarray, right: float, wrong: float) -> float:
    """Return what 1000 predictions are worth when an alarm is raised wherever it pays."""
    alarm = p * right > (1 - p) * wrong
    return float(1000 * np.mean(np.where(alarm, np.where(y == 1, right, -wrong), 0.0)))
