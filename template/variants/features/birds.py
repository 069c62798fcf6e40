"""Make features: one pure function, used by training and by the service alike.

Columns come in as arrays by the contract's names (numbers as float64 with NaN where missing, strings as objects with
None, texts as the vectors of their encoder, the time as datetime64) and features go out the same way. One row and a
million rows take the same path, so what was trained is what is served.
"""

import numpy as np


def features(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return one array per feature: every column as it came, and the month, as birds migrate."""
    month = columns["struck_at"].astype("datetime64[M]").astype(np.int64) % 12.0
    return {name: array for name, array in columns.items() if name != "struck_at"} | {"month": month}
