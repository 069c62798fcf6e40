"""Make features: one pure function, used by training and by the service alike.

Columns come in as arrays by the contract's names (numbers as float64 with NaN where missing, dates
as days since 1970, strings as objects with None, texts as vectors, the time as datetime64) and features
go out the same way. One row and a million rows take the same path, so what was trained is what is served.
"""

import numpy as np


def features(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return one array per feature: here, every column as it came, and hour and weekday of the time."""
    made: dict[str, np.ndarray] = {}
    for name, array in columns.items():
        if array.dtype.kind == "M":
            hours = array.astype("datetime64[h]").astype(np.int64)
            made |= {f"{name}: hour": hours % 24.0, f"{name}: weekday": (hours // 24 + 3) % 7.0}
        else:
            made[name] = array
    return made
