"""From values by column to the model's matrix: the one path of training and of serving."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import config

Columns = dict[str, np.ndarray]


def columns(values: Mapping[str, Sequence[Any]], contract: config.Contract) -> Columns:
    """Return one array per contract column, and the time: None becomes NaN or stays None."""
    kinds: dict[str, Any] = {
        name: object if column.type == "string" else np.float64 for name, column in contract.columns.items()
    }
    kinds[contract.time] = "datetime64[us]"
    return {name: np.array(values[name], dtype=kind) for name, kind in kinds.items()}


def levels(array: np.ndarray) -> list[str]:
    """Return the sorted levels of a text feature, [] for a number."""
    return sorted({value for value in array if value is not None}) if array.dtype == object else []


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
