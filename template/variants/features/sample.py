"""Make features: one pure function, used by training and by the service alike.

Columns come in as arrays by the contract's names (numbers as float64 with NaN where missing,
strings as objects with None, the time as datetime64) and features go out the same way. One row
and a million rows take the same path, so what was trained is what is served.
"""

import numpy as np

# Columns that are features as they come.
ROUTE = ["carrier", "origin", "dest"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANE = ["plane_year", "seats"]
PAST = ["route_delay", "plane_delay"]

# New York's standard time. No flight is planned between midnight and five, so summer time cannot
# move a flight to another weekday.
NEW_YORK = np.timedelta64(-5, "h")


def features(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return one array per feature, each as long as the columns."""
    departure = _minutes(columns["sched_dep_time"])
    arrival = _minutes(columns["sched_arr_time"])
    local_days = (columns["scheduled_at"] + NEW_YORK).astype("datetime64[D]").astype(np.int64)
    return {
        **{name: columns[name] for name in ROUTE},
        "weekday": ((local_days + 3) % 7).astype(np.float64),  # 1970-01-01 was a Thursday
        "departure_minute": departure,
        # Clock time from gate to gate, time zones included: it tells far from near, east from west.
        "clock_minutes": (arrival - departure) % 1440.0,
        **{name: columns[name] for name in ["distance", *WEATHER, *PLANE, *PAST]},
    }


def _minutes(clock: np.ndarray) -> np.ndarray:
    """Turn 1435.0, a clock of 14:35, into minutes since midnight."""
    return np.floor(clock / 100.0) * 60.0 + clock % 100.0
