"""Twenty ways in which a batch of flights can be wrong, each seeded.

Run in the root of an emitted sample project. Prints one line each and the score; leaves with 1 if
one came through, or if the clean batch did not.
"""

import datetime
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
from late_flights.production import config, ingest, stages, validate
from late_flights.production.rehearse import lab

Corrupt = Callable[[pl.DataFrame], pl.DataFrame]
SOME = pl.int_range(pl.len()).hash(seed=7) % 5 == 0  # a fifth of the rows


def change(column: str, values: pl.Expr, rows: pl.Expr = SOME) -> Corrupt:
    return lambda frame: frame.with_columns(
        pl.when(rows).then(values).otherwise(pl.col(column)).alias(column)
    )


def swap(one: str, other: str) -> Corrupt:
    return lambda frame: frame.rename({one: other, other: one})


CORRUPTIONS: dict[str, tuple[Corrupt, str]] = {
    "nulls": (change("temp", pl.lit(None)), "of temp is missing"),
    "nulls where none may be": (change("distance", pl.lit(None)), "distance|nullability"),
    "labels gone": (change("late", pl.lit(None)), "of late is missing"),
    "unit: times 1000": (change("distance", pl.col("distance") * 1000), "distance|max"),
    "unit: inches of mercury": (change("pressure", pl.col("pressure") / 33.86), "pressure|min"),
    "unit: share for percent": (change("humid", -pl.col("humid") / 100), "humid|min"),
    "sign lost": (change("distance", -pl.col("distance")), "distance|min"),
    "beyond the circle": (change("wind_dir", pl.col("wind_dir") + 400), "wind_dir|max"),
    "beyond the clock": (change("sched_dep_time", pl.lit(2575)), "sched_dep_time|max"),
    "year of the future": (change("plane_year", pl.lit(2105)), "plane_year|max"),
    "infinite": (change("temp", pl.lit(float("inf"))), "temp|"),
    "swapped columns": (swap("distance", "temp"), "temp|max"),
    "level typo": (change("origin", pl.col("origin") + " "), "origin|"),
    "name for code": (change("carrier", pl.lit("United Air Lines")), "carrier|max_length"),
    "shifted time zone": (
        change("scheduled_at", pl.col("scheduled_at") + datetime.timedelta(hours=3)),
        "same_clock",
    ),
    "no time": (change("scheduled_at", pl.lit(None)), "scheduled_at|nullability"),
    "no id": (change("flight_id", pl.lit(None)), "primary_key"),
    "column gone": (lambda frame: frame.drop("visib"), "column visib is missing"),
    "numbers as text": (
        lambda frame: frame.with_columns(pl.format("{} F", "temp").alias("temp")),
        "column temp came as text",
    ),
    "rows twice": (lambda frame: pl.concat([frame, frame.head(500)]), "came twice"),
}


def told(frame: pl.DataFrame, corrupt: Corrupt) -> str:
    """What ingest and validate say of a batch: refused, quarantined, or counted once."""
    contract = config.contract()
    validate.REPORT.unlink(missing_ok=True)
    try:
        typed = ingest.typed(corrupt(frame), contract)
        if twice := typed[contract.key].drop_nulls().is_duplicated().any():
            return "came twice" if twice else ""
        stages.write(stages.RAW, typed)
        validate.validate()
    except config.Problem as problem:
        rules = stages.read_json(validate.REPORT)["quarantined"] if validate.REPORT.exists() else {}
        return f"{problem} {' '.join(rules)}"
    return " ".join(stages.read_json(validate.REPORT)["quarantined"])


def main() -> int:
    frame = pl.read_parquet(stages.RAW).gather_every(6)
    caught = 0
    with tempfile.TemporaryDirectory() as folder:
        lab.copy_repo(Path(folder))
        os.chdir(folder)
        clean = told(frame, lambda same: same)
        for name, (corrupt, expected) in CORRUPTIONS.items():
            said = told(frame, corrupt)
            caught += expected in said
            print(f"{'caught' if expected in said else 'MISSED':7} {name:24} {said[:120]}")
    print(f"{caught} of {len(CORRUPTIONS)} caught; clean batch: {clean or 'passes'}")
    return int(caught < len(CORRUPTIONS) or bool(clean))


if __name__ == "__main__":
    sys.exit(main())
