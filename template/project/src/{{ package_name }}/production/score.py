"""The engine that turns rows into probabilities: in the service, in bulk, and for golden rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import features as yours_features
from .. import train as yours_train
from . import config, matrix


class Engine:
    """A model with all that it needs to answer, loaded from a release's source folder."""

    def __init__(self, root: Path) -> None:
        self.contract = config.contract(root)
        self.levels = json.loads((root / "model/levels.json").read_text(encoding="utf-8"))
        self.model = yours_train.load((root / "model/model.txt").read_text(encoding="utf-8"))
        self.names = [*self.contract.columns, self.contract.time]

    def encode(self, rows: list[dict[str, Any]]) -> np.ndarray:
        """Return the model's matrix of the rows, float64 (rows, features)."""
        values = {name: [row[name] for row in rows] for name in self.names}
        return matrix.encode(yours_features.features(matrix.columns(values, self.contract)), self.levels)

    def predict(self, rows: list[dict[str, Any]]) -> np.ndarray:
        """Return the probability of the positive class, float64 (rows,)."""
        return yours_train.predict(self.model, self.encode(rows))

    def explain(self, rows: list[dict[str, Any]]) -> list[dict[str, float]]:
        """Return, by feature, the contribution to each row's log-odds; `base` is the start."""
        found = yours_train.explain(self.model, self.encode(rows)).tolist()
        return [dict(zip([*self.levels, "base"], row, strict=True)) for row in found]


def score(rows: str, scored: str, root: Path = Path()) -> None:
    """Write a Parquet file with one probability per row; `root` is a release's source folder."""
    import polars as pl  # not in the serving image

    engine = Engine(root)
    parts = pl.read_parquet(rows, columns=engine.names).iter_slices(50_000)
    found = np.concatenate([engine.predict(part.to_dicts()) for part in parts])
    pl.DataFrame({"probability": found}).write_parquet(scored)
