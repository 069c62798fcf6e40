"""Read times and numbers out of text as people write them, and keep a share of many rows."""

import math
import re
from datetime import datetime

import numpy as np
import polars as pl


def times(values: pl.Series) -> pl.Series:
    """Return UTC times without a zone, from times, dates, text, years or seconds since 1970; null where none."""
    if values.dtype == pl.String:
        found = values.str.strip_chars().str.to_datetime(strict=False, time_zone="UTC")
        if found.null_count() > values.null_count() + 0.02 * len(values):  # the format was guessed by the first row
            for form in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m", "%b %d %Y", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M"):
                other = values.str.strip_chars().str.to_datetime(form, strict=False, time_zone="UTC")
                found = other if other.null_count() < found.null_count() else found
        values = found
    elif values.dtype.is_numeric():
        whole = values.cast(pl.Int64, strict=False)
        top = float(whole.max() or 0)  # type: ignore[arg-type]
        if top < 3000:
            years = whole.set(~whole.is_between(1, 9999), None)
            values = pl.select(pl.datetime(years, 1, 1)).to_series().alias(values.name)
        else:  # seconds, milliseconds, microseconds or nanoseconds since 1970, by their size
            size = sum(top >= limit for limit in (1e11, 1e14, 1e17))
            values = pl.from_epoch(whole, time_unit=("s", "ms", "us", "ns")[size])
    if values.dtype not in (pl.Date, pl.Datetime):  # a time of day, a duration, yes or no
        values = pl.Series(values.name, [None] * len(values))
    return values.cast(pl.Datetime("us"))


def numbers(values: pl.Series, unit: str) -> pl.Series:
    """Return text such as "1,200 kg" or "$ 5" as numbers; null where it is none."""
    bare = values.str.strip_chars().str.replace(f"^{re.escape(unit)}|{re.escape(unit)}$", "").str.strip_chars()
    return bare.str.replace_all(",", "").cast(pl.Float64, strict=False)


def thinned(key: str, rows: int, most: int) -> pl.Expr:
    """Return a filter that keeps about `most` of so many rows: the same ids whatever comes after them."""
    # By halves: what grows keeps the rows that it has, until it has twice as many.
    halves = max(0, math.ceil(math.log2(max(rows, 1) / most)))
    return pl.col(key).cast(pl.String).hash(1) <= (2**64 >> halves) - 1


def shuffled(rows: int) -> pl.Series:
    """Return a time in the year 2000 for each row without one: a split by time is then a split by chance."""
    # A row keeps its place when rows come after it.
    place = pl.Series("when", np.random.default_rng(1).random(rows) * 365 * 86400e6).cast(pl.Duration("us"))
    return place + datetime(2000, 1, 1)
