"""From values by column to the model's matrix: the one path of training and of serving."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import config

Columns = dict[str, np.ndarray]


def columns(values: Mapping[str, Sequence[Any]], contract: config.Contract) -> Columns:
    """Return one array per contract column, and the time: None becomes NaN or stays None."""
    found = {
        name: np.array(values[name], dtype=object if column.type == "string" else np.float64)
        for name, column in contract.columns.items()
    }
    found[contract.time] = np.array(values[contract.time], dtype="datetime64[us]")
    return found


def learn_levels(features: Columns) -> dict[str, list[str]]:
    """Return the sorted levels of each text feature; [] for each number."""
    return {
        name: sorted({v for v in array if v is not None}) if array.dtype == object else []
        for name, array in features.items()
    }


def encode(features: Columns, levels: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Return float64 (rows, features) in the order of `levels`; an unknown level becomes NaN."""
    encoded = []
    for name, known in levels.items():
        array = features[name]
        if array.dtype == object:
            codes = {level: float(code) for code, level in enumerate(known)}
            array = np.array([codes.get(value, np.nan) for value in array])
        encoded.append(np.asarray(array, dtype=np.float64))
    return np.column_stack(encoded)
