"""Two stages that run your code, featurize and train, and the files through which all stages talk."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from .. import features as yours_features
from . import config, drift, history, matrix, metrics, score

RAW, VALID, FEATURES = (Path(f"data/{name}.parquet") for name in ("raw", "valid", "features"))
HISTORY, REPORT, SCORE = Path("data/history.sqlite"), Path("reports/evaluate.json"), Path("reports/train.json")
Levels = dict[str, list[str]]
MODEL, LEVELS, PROFILE = (Path(f"model/{name}") for name in ("model.txt", "levels.json", "profile.json"))


def featurize() -> None:
    """Make data/features.parquet from the valid rows: id, time, target and the features; and the store of history."""
    contract = config.contract()
    frame = history.as_of(pl.read_parquet(VALID), contract)
    history.build(frame, contract, HISTORY)
    parts = []
    for rows in frame.iter_slices(100_000):  # Python's values are large: not all at once
        each = features(rows, contract).items()
        found = {f"feature:{name}": pl.Series(a.tolist() if a.dtype == object else a) for name, a in each}
        parts.append(rows.select(contract.key, contract.clock, contract.target).with_columns(**found))
    made = pl.concat(parts, how="vertical_relaxed")
    write(FEATURES, made)
    print(f"featurize: {made.height} rows, {made.width - 3} features")


def features(frame: pl.DataFrame, contract: config.Contract) -> matrix.Columns:
    """Return your features of valid rows with their history, along the path that the service takes."""
    values = frame.select(*contract.row, *contract.history).to_dict(as_series=False)
    return yours_features.features(matrix.columns(values, contract))


def train() -> None:
    """Train on the rows before split.train_until; write the model, its levels and its profile."""
    params, contract = config.params(), config.contract()
    found, y, when = load_features()
    past = labelled(when < np.datetime64(params.split.train_until), y)
    text, levels = learn(found, y, past, _progress)
    MODEL.parent.mkdir(exist_ok=True)
    MODEL.write_text(text, encoding="utf-8", newline="\n")
    write_json(LEVELS, levels)
    known = when < np.datetime64(params.split.evaluate_until)
    seen = {name: array[known] for name, array in found.items()}
    p, axes = predict(text, levels, seen), drift.axes(seen)
    seen = drift.watched(seen, axes)
    seen[drift.PREDICTION] = matrix.outcome(p, contract)
    watched, unseen = config.watch(), known & (when >= np.datetime64(params.split.train_until)) & ~np.isnan(y)
    profile = drift.learn(seen, windows(when[known], watched.window_days), watched, len(seen) + 1)
    judged = p[unseen[known]]
    error = {drift.ERROR: matrix.error(y[unseen], judged)}
    profile |= drift.learn(error, windows(when[unseen], watched.window_days), watched, len(seen) + 1)
    # What is answered when the model cannot: the mean, or the share of each class.
    prior = [float((y[past] == code).mean()) for code in range(contract.several)] or float(y[past].mean())
    made: dict[str, Any] = {"trained_until": str(when[past].max()), "prior": prior, "redo": redo(found, y, past)}
    made["expected"] = metrics.expected(judged, contract.task, config.slo().business)
    write_json(PROFILE, made | {"axes": axes, "columns": profile})
    score = validate(found, y, when, past)
    write_json(SCORE, {"validation_auc": score if score == score else None})
    print(f"train: {past.sum()} rows, {len(levels)} features, validation AUC {score:.4f} -> {MODEL.parent}/")


def learn(
    found: matrix.Columns, y: np.ndarray, rows: np.ndarray, progress: Callable[[int, int], None] = lambda *_: None
) -> tuple[str, Levels]:
    """Return your model of these rows (a mask, or their numbers), as text, and the levels of its features."""
    params, contract = config.params(), config.contract()
    some = matrix.flat({name: array[rows] for name, array in found.items()})
    levels = {name: matrix.levels(array) for name, array in some.items()}
    settings = {"objective": contract.task, "num_class": contract.several or 1, "seed": params.seed} | params.train
    x = matrix.encode(some, matrix.codes(levels))
    return score.train_code().train(x, y[rows], levels, settings, progress), levels


def predict(text: str, levels: Levels, found: matrix.Columns) -> np.ndarray:
    """Return what a model says of features."""
    yours = score.train_code()
    return np.asarray(yours.predict(yours.load(text), matrix.encode(found, matrix.codes(levels))))


def watched(found: matrix.Columns) -> matrix.Columns:
    """Return features as they are watched, and what the model in model/ says of them."""
    p, axes = predict(MODEL.read_text(encoding="utf-8"), read_json(LEVELS), found), read_json(PROFILE)["axes"]
    return drift.watched(found, axes) | {drift.PREDICTION: matrix.outcome(p, config.contract())}


def redo(found: matrix.Columns, y: np.ndarray, past: np.ndarray) -> str:
    """Return the digest of a model of 5000 training rows: another process must get the same one again."""
    return hashlib.sha256(learn(found, y, drift.thin(np.flatnonzero(past), 5000))[0].encode()).hexdigest()


def validate(found: matrix.Columns, y: np.ndarray, when: np.ndarray, past: np.ndarray) -> float:
    """Return the AUC of these settings on the newest fifth of the training rows: so a search looks at no gate's row."""
    rows = np.flatnonzero(past)
    older, newer = np.split(rows[np.argsort(when[rows], kind="stable")], [len(rows) * 4 // 5])
    said = predict(*learn(found, y, drift.thin(older, 50_000)), {name: array[newer] for name, array in found.items()})
    return metrics.auc(metrics.questions(y[newer], said))


def load_features() -> tuple[matrix.Columns, np.ndarray, np.ndarray]:
    """Return features, target (float64, NaN where unlabelled) and time of every row."""
    contract, frame, found = config.contract(), pl.read_parquet(FEATURES), {}
    for values in (column for column in frame if column.name.startswith("feature:")):
        array = np.array(values.to_list(), dtype=object) if values.dtype == pl.String else values.to_numpy()
        found[values.name.removeprefix("feature:")] = array
    return found, matrix.targets(frame[contract.target].to_list(), contract), frame[contract.clock].to_numpy()


def labelled(rows: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return which of these rows have a label; refuse a period that has too few to learn or judge by."""
    rows = rows & ~np.isnan(y)
    if rows.sum() < 80 or len(np.unique(y[rows])) < 2:
        what = f"{rows.sum()} labelled rows, or one class alone, in a part of the split are too few"
        raise config.Problem(f"params.yaml: split: {what}; move it, or bring more data")
    return rows


def windows(when: np.ndarray, days: float) -> list[np.ndarray]:
    """Return the rows of each whole window of so many days, counted from split.evaluate_until, oldest first."""
    since = (when - np.datetime64(config.params().split.evaluate_until)) / np.timedelta64(1, "D") / days
    number, order = np.floor(since), np.argsort(since, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    # A part of a week is no week.
    return [p for p in parts if len(p) and since.min() - 0.1 <= number[p[0]] <= since.max() - 0.9]


def write(path: Path, frame: pl.DataFrame, about: dict[str, str] | None = None) -> None:
    """Write Parquet so that a reader sees the old file or the new one, never a half."""
    path.parent.mkdir(exist_ok=True)
    frame.write_parquet(path.with_suffix(".tmp"), metadata=about)
    os.replace(path.with_suffix(".tmp"), path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8", newline="\n")


def _progress(done: int, total: int) -> None:
    if done % max(total // 10, 1) == 0:
        print(f"train: round {done} of {total}", flush=True)
