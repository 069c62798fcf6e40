"""Read the raw rows: CSV or Parquet, one file or a folder of them.

Replace the body of `ingest` with your own source; keep its signature.
"""

from pathlib import Path

import polars as pl

KINDS = (".csv", ".tsv", ".parquet")


def ingest(source: str) -> pl.DataFrame:
    """Return the rows of every file, in the order of their names.

    `source` is a file or a folder. Raises OSError or a Polars error when a file is missing or
    torn; nothing is written here.
    """
    return pl.concat([_read(path) for path in files(source)], how="vertical_relaxed")


def files(source: str) -> list[Path]:
    """Return the files that `ingest` reads."""
    path = Path(source)
    found = [path] if path.is_file() else sorted(p for p in path.glob("*") if p.suffix in KINDS)
    if not found:
        raise FileNotFoundError(f"{source}: no file that ends in {', '.join(KINDS)}")
    return found


def _read(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    separator = "\t" if path.suffix == ".tsv" else ","
    return pl.read_csv(path, separator=separator, infer_schema_length=None, try_parse_dates=True)
