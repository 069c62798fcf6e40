"""The engine that turns rows into probabilities: in the service, in bulk, for golden rows, and again from the log."""

import contextlib
import functools
import importlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import features as yours_features
from . import config, matrix, releases
from .store import Store

logger = logging.getLogger("bentoml.service")
# Module: package. A development environment has these, the serving image has not.
HEAVY = {name: name for name in ("pandas", "matplotlib", "dask", "pyarrow")} | {"sklearn": "scikit-learn"}


class Engine:
    """A model with all that it needs to answer, loaded from a release's source folder."""

    def __init__(self, root: Path) -> None:
        self.contract, business = config.contract(root), config.slo(root).business
        self.threshold = business.wrong / (business.right + business.wrong)
        self.levels = json.loads((root / "model/levels.json").read_text(encoding="utf-8"))
        self.codes = matrix.codes(self.levels)
        self.prior = json.loads((root / "model/profile.json").read_text(encoding="utf-8"))["prior"]
        self.store = Store(Path(os.environ.get("HISTORY", "data/history.sqlite")), self.contract)
        self.yours = train_code()
        self.model = self.yours.load((root / "model/model.txt").read_text(encoding="utf-8"))

    def features(self, rows: list[dict[str, Any]]) -> matrix.Columns:
        """Return your features of rows with their history."""
        values = {name: [row[name] for row in rows] for name in [*self.contract.row, *self.contract.history]}
        return dict(yours_features.features(matrix.columns(values, self.contract)))

    def encode(self, rows: list[dict[str, Any]]) -> np.ndarray:
        """Return the model's matrix of rows with their history, float64 (rows, features)."""
        return matrix.encode(self.features(rows), self.codes)

    def predict(self, rows: list[dict[str, Any]]) -> np.ndarray:
        """Return the model's predictions, float64: (rows,), or (rows, classes)."""
        return np.asarray(self.yours.predict(self.model, self.encode(rows)))

    def ask(self, rows: list[dict[str, Any]]) -> list[Any]:
        """Return a prediction for each row; None where features or model break."""
        try:
            return list(self.predict(rows).tolist())
        except Exception:
            logger.exception("%d rows failed%s", len(rows), "; each is asked alone" if len(rows) > 1 else "")
            return [self.ask([row])[0] for row in rows] if len(rows) > 1 else [None]

    def answers(self, predictions: list[Any]) -> list[dict[str, Any]]:
        """Return what the service says of each prediction: a value, an alarm where it pays, or the likeliest class."""
        if self.contract.task == "regression":
            return [{"value": value} for value in predictions]
        if self.contract.task == "binary":
            return [{"probability": p, "alarm": p > self.threshold} for p in predictions]
        named = [dict(zip(self.contract.classes, row, strict=True)) for row in predictions]
        return [{"class": max(each, key=each.__getitem__), "probabilities": each} for each in named]

    def explain(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return, by feature (multiclass: by class and feature), the contributions to the raw score, and its `base`."""
        features = self.features(rows)
        raw = self.yours.explain(self.model, matrix.encode(features, self.codes))
        names, first = [*features, "base"], np.cumsum([0, *(array[:1].size for array in features.values())])
        found = np.add.reduceat(raw.reshape(len(rows), -1, first[-1] + 1), first, axis=2).tolist()
        each = [[dict(zip(names, part, strict=True)) for part in row] for row in found]
        several = self.contract.task == "multiclass"
        return [dict(zip(self.contract.classes, row, strict=True)) if several else row[0] for row in each]


def again(rows: str) -> None:
    """Print, as JSON, what the model says of logged rows (a Parquet file) that bring their history along."""
    import polars as pl  # not in the serving image

    engine, asked = Engine(Path()), pl.read_parquet(rows).to_dicts()
    told = {"predictions": engine.predict(asked).tolist(), "contributions": engine.explain(asked)}
    print(json.dumps(told | {"features": {name: array.tolist() for name, array in engine.features(asked).items()}}))


def replay(id: str) -> None:
    """Print a logged prediction, its features and contributions; refuse if they are not the same to the bit."""
    import polars as pl  # none of these is in the serving image

    from . import segments, watch

    told = segments.read({"id": pl.String, "release": pl.String, "fallback": pl.Boolean})
    told = told.drop_nulls("release").filter(pl.col("id") == id)
    if told.is_empty():
        way_out = "give the request_id of an answer, for a row of a list with its number: ID=request_id:0"
        raise config.Problem(f"replay: no prediction {id} is in run/*/predictions-*; {way_out}")
    release, fallback = told["release"][0], told["fallback"][0]
    if fallback:
        raise config.Problem(f"replay: {id} was answered by the fallback of release {release}, not by its model")
    root = releases.source(release)
    releases.verify(root)
    rows, said, _ = watch.read_log(config.contract(root))
    mine = said["id"] == id
    with tempfile.TemporaryDirectory() as folder:
        rows.filter(mine).write_parquet(path := Path(folder, "rows.parquet"))
        again = json.loads(releases.ask(release, "-m", str(__package__), "again", str(path)))
    was = said.filter(mine)["prediction"].to_list()
    for name, values in again["features"].items():
        print(f"replay: {name:24} {values[0]!s:.80}")
    print(f"replay: contributions {json.dumps(again['contributions'][0], ensure_ascii=False)}")
    tolerance = config.contract(root).tolerance
    if not matrix.same(again["predictions"], was, tolerance):
        what = f"release {release} answers {again['predictions'][0]} now, and {was[0]} was logged"
        raise config.Problem(f"replay: {id}: {what}; was its environment changed? See constraints.txt")
    like = f"the same within {tolerance:g}" if tolerance else "the same to the bit"
    print(f"replay: prediction {was[0]}, {like}, from release {release}")


def score(rows: str, scored: str, root: Path = Path()) -> None:
    """Write a Parquet file with one column, or one per class; `root` is a release's source folder."""
    import polars as pl  # not in the serving image

    engine = Engine(root)
    parts = pl.read_parquet(rows, columns=engine.contract.row).iter_slices(50_000)
    asked, read = zip(*(engine.store.recall(part.to_dicts()) for part in parts), strict=True)
    if not all(read):
        raise config.Problem("score: the store of history cannot be read; `make featurize` writes it, HISTORY names it")
    found = np.concatenate([engine.predict(part) for part in asked])
    pl.DataFrame(found.reshape(len(found), -1)).write_parquet(scored)


@functools.cache
def train_code() -> ModuleType:
    """Return your train.py, and with it LightGBM, without what that imports only because it finds it: seconds of each
    verb. What requirements-serve.txt names stays visible: your model may need it.
    """
    files = [parent / "requirements-serve.txt" for parent in Path(__file__).parents[2:4]]  # of a release, of the repo
    needed = "".join(path.read_text(encoding="utf-8").lower() for path in files if path.exists())
    hidden = [name for name, package in HEAVY.items() if name not in sys.modules and package not in needed]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        with contextlib.suppress(ImportError):  # the model is another's
            importlib.import_module("lightgbm")
    finally:
        for name in hidden:
            del sys.modules[name]
    return importlib.import_module("..train", __package__)
