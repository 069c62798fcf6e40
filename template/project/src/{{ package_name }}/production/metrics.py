"""How good a set of predictions is, with confidence intervals that respect dependent rows.

One measure for every task. Binary: the area under the ROC curve (AUC). Multiclass: the mean AUC of each class
against the rest. Regression: the mean AUC of "is it above this decile?" over the nine deciles of the target.
0.5 is chance, 1 is perfect, everywhere.
"""

import numpy as np
import polars as pl

from . import config, drift, matrix

Question = tuple[np.ndarray, np.ndarray]  # 0 or 1 per row; the rank of each prediction


def questions(y: np.ndarray, p: np.ndarray) -> list[Question]:
    """Return the yes-or-no questions that the task consists of; `p` is (rows,) or (rows, classes)."""
    if p.ndim == 2:
        asked = [(y == code, p[:, code]) for code in range(p.shape[1])]
    else:  # of two values one question: is it the larger?
        cuts = np.minimum(np.quantile(y, np.linspace(0.1, 0.9, 9)), np.unique(y)[-2:][0])
        asked = [(y > cut, p) for cut in np.unique(cuts)]
    return [(yes.astype(float), np.unique(of, return_inverse=True)[1]) for yes, of in asked if 0 < yes.mean() < 1]


def auc(asked: list[Question], weight: np.ndarray | None = None) -> float:
    """Return the mean area under the ROC curve over the questions; ties count half; NaN when none can be answered."""
    found = []
    for yes, rank in asked:
        positive = np.bincount(rank, yes if weight is None else weight * yes)
        negative = np.bincount(rank, 1 - yes if weight is None else weight * (1 - yes))
        if pairs := positive.sum() * negative.sum():
            found.append((positive * (np.cumsum(negative) - negative / 2)).sum() / pairs)
    return float(np.mean(found)) if found else float("nan")


def auc_intervals(y: np.ndarray, ps: list[np.ndarray], blocks: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % intervals of each prediction's AUC and of its lead over the first one: (predictions, 2) each.

    Whole blocks (days) are drawn with replacement, because the rows of a day are alike: drawing
    rows would give intervals that are too narrow.
    """
    names, block = np.unique(blocks, return_inverse=True)
    if len(names) < 10:  # too few to draw from: rows then, and the interval is narrower than it should be
        names = block = np.arange(len(y))
    rng, asked = np.random.default_rng(seed), [questions(y, p) for p in ps]
    draws = [np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names)) for _ in range(200)]
    found, ends = np.array([[auc(each, drawn[block]) for each in asked] for drawn in draws]), (2.5, 97.5)
    return np.nanpercentile(found, ends, axis=0).T, np.nanpercentile(found - found[:, :1], ends, axis=0).T


def calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    """Return the mean gap between predicted and observed over ten equally filled bins.

    Of the probability (multiclass: of the likeliest class); of a number, in standard deviations of the target.
    """
    scale = 1.0 if p.ndim == 2 or len(np.unique(y)) <= 2 else float(np.std(y))
    right, sure = (p.argmax(axis=1) == y, p.max(axis=1)) if p.ndim == 2 else (y, p)
    parts = np.array_split(np.argsort(sure, kind="stable"), 10)
    return float(np.mean([abs(sure[part].mean() - right[part].mean()) for part in parts if len(part)]) / scale)


def levels(columns: list[pl.Series]) -> dict[str, np.ndarray]:
    """Return which rows belong to each level of each column, by `column=level`."""
    each = [(column, level) for column in columns for level in column.drop_nulls().unique().sort()]
    return {f"{column.name}={level}": (column == level).fill_null(value=False).to_numpy() for column, level in each}


def alone(past: np.ndarray, y: np.ndarray, now: np.ndarray, classes: int) -> np.ndarray:
    """Predict by the past mean of one feature's level or bin: the baseline, and the leak detector.

    Returns (rows,), or (rows, classes) where `classes` is not 0.
    """
    bins = matrix.levels(past) or drift.deciles(past)
    a, b, size = drift.assign(past, bins), drift.assign(now, bins), len(bins) + 2
    sides = np.eye(classes)[y.astype(int)] if classes else y[:, None]
    sums = np.column_stack([np.bincount(a, side, size) for side in sides.T])
    # 20 rows at the overall mean: a rare level must not look certain.
    means = (sums + 20 * sides.mean(axis=0)) / (np.bincount(a, minlength=size)[:, None] + 20)
    return np.asarray(means[b] if classes else means[b][:, 0])


def expected(p: np.ndarray, task: str, business: config.Business) -> dict[str, float] | None:
    """Return AUC and value per 1000 as the probabilities themselves tell them, before any label has come.

    Right as long as they are calibrated: of concept drift they know nothing. None of a number, which has none.
    """
    if task == "regression":
        return None
    asked = [(each, np.unique(each, return_inverse=True)[1]) for each in p.reshape(len(p), -1).T]
    sure = p.max(axis=1) if p.ndim == 2 else p
    gain = sure * business.right - (1 - sure) * business.wrong
    return {"auc": auc(asked), "value_per_1000": float(1000 * np.maximum(gain, 0).mean())}
