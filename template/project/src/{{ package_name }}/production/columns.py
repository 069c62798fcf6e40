"""Read what people write in one column, and work out the rules that contract.yaml has for it, or why it stays out."""

import math
import re
from datetime import datetime
from itertools import product
from typing import Any

import numpy as np
import polars as pl

CLOSED = 12  # text of so many values is a closed list
ROOM = 0.5  # a range may be this much wider than what was seen
NAMES = "e-?mail|phone|mobile|ssn|passport|iban|first_?name|last_?name|full_?name|surname|address|birth"
PERSONAL_NAME = re.compile(f"(?i)(^|[^a-z])({NAMES})")
PERSONAL = {
    "an e-mail address": r"^[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}$",
    "a phone number": r"^\+\d[\d ()/-]{7,}$",
    "an IBAN": r"^[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?$",
    "a card number": r"^(?:\d{4}[ -]){3}\d{4}$",
    "an IP address": r"^(?:\d{1,3}\.){3}\d{1,3}$",
}
DATES = "%d.%m.%y;%d/%m/%y;%m/%d/%y;%d.%m.%Y;%d/%m/%Y;%m/%d/%Y;%Y-%m;%b %d %Y;%b %d, %Y;%d %b %Y;%d-%b-%Y"
DIGITS = r"^(1[89]\d\d|2[01]\d\d)(0[1-9]|1[0-2])([0-3]\d)?$"  # 20001231 or 200012
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMS = ["".join(form) for form in product(DATES.split(";"), CLOCKS)]  # in which dates are written, beside ISO's
UNIT = re.compile(r"^(?P<before>[$€£¥]?)\s*-?[\d,]*\.?\d+\s*(?P<after>[a-zA-Zµ°%€£$/²³]{0,8})$")


def personal(values: pl.Series) -> str:
    """Return by what these values look like personal data, "" if they do not."""
    text = values.drop_nulls()
    if text.dtype != pl.String or not text.name:
        return ""
    kinds = (kind for kind, form in PERSONAL.items() if text.str.contains(form).sum() > 0.5 * len(text))
    return next(kinds, "by its name" if PERSONAL_NAME.search(text.name) else "")


def rules(
    values: pl.Series, low: float | None, high: float | None, notes: list[str], read: bool = False
) -> dict[str, Any] | str:
    """Return the rules of a column, or why it must stay out; what a person should look at is added to the notes.

    `low` and `high` are the smallest and the largest finite number of all rows, None where there is none; `read` says
    whether an encoder reads prose.
    """
    some = values.drop_nulls()
    if not some.name:
        return "it has no name"
    if some.n_unique() < 2:
        return "one value, or none: it says nothing"
    if some.dtype == pl.String:
        return _text(some, notes, read)
    if some.dtype == pl.Boolean:
        return {"type": "boolean"}
    if some.dtype in (pl.Date, pl.Datetime):
        return {"type": "datetime"}
    if low is None or high is None:
        return f"its type {some.dtype} is neither text, number, date nor yes or no"
    steps = some.diff().drop_nulls()
    if some.dtype.is_integer() and steps.n_unique() == 1 and steps[0] != 0:
        return "counts the rows"
    return _number(some, low, high)


def _number(values: pl.Series, low: float, high: float) -> dict[str, Any]:
    """Return type and limits, with room beyond what was seen; what has one sign keeps it."""
    room, kind = ROOM * (high - low), "integer" if values.dtype.is_integer() else "number"
    edges = {"min": max(low - room, -math.inf if low < 0 else 0), "max": min(high + room, math.inf if high > 0 else 0)}
    return {"type": kind} | {key: float(f"{edge:.4g}") for key, edge in edges.items()}


def _text(text: pl.Series, notes: list[str], read: bool) -> dict[str, Any] | str:
    found = (UNIT.match(value.strip()) for value in text.head(1000))
    units = {match["before"] or match["after"] for match in found if match}
    unit = units.pop() if len(units) == 1 else ""
    values, levels = numbers(text, unit), text.n_unique()
    if unit and values.null_count() <= 0.02 * len(text):
        notes.append(f"{text.name}: numbers with the unit {unit!r}; requests carry the bare number")
        return _number(values, float(values.min()), float(values.max())) | {"unit": unit}  # type: ignore[arg-type]
    if times(text).null_count() <= 0.02 * len(text):
        return {"type": "datetime"}
    odd = text.filter(values.is_null())
    if 0 < len(odd) < 0.5 * len(text):
        what = f"mostly numbers, but also {odd[0]!r}; taken as text: mend the source if it is a number"
        notes.append(f"{text.name}: {what}")
    prose = text.str.count_matches(r"\s+").sum() > 2 * len(text)
    longest = int(text.str.len_chars().max() or 1)  # type: ignore[arg-type]
    if prose and read and levels > 100:
        return {"type": "text", "max_length": 2 * longest}
    if levels > 0.9 * len(text) and levels > 100:
        return "free text: nearly every row has its own" if prose else "an identifier: no two rows alike"
    if levels <= CLOSED:
        return {"type": "string", "levels": sorted(text.unique())}
    if levels > 1000:
        notes.append(f"{text.name}: {levels} values; the 1000 most frequent are told apart, the rest count as missing")
    return {"type": "string", "max_length": 2 * longest}


def times(values: pl.Series) -> pl.Series:
    """Return UTC times without a zone, from times, dates, text, years (2000.5), days (20001231) or seconds since 1970;
    null where none.
    """
    if values.dtype.is_numeric() and 3000 <= float(values.max() or 0) < 3e7:  # type: ignore[arg-type]
        values = values.cast(pl.Int64, strict=False).cast(pl.String)
    if values.dtype == pl.String:
        text = values.str.strip_chars().str.replace(DIGITS, "$1-$2-$3").str.strip_suffix("-")
        values = text.str.to_datetime(strict=False, time_zone="UTC")
        if values.null_count() > text.null_count() + 0.02 * len(text):  # the format was guessed by the first row
            some = text.drop_nulls().gather_every(max(1, len(text) // 1000))
            form = min(FORMS, key=lambda form: some.str.to_datetime(form, strict=False).null_count())
            other = text.str.to_datetime(form, strict=False, time_zone="UTC")
            values = other if other.null_count() < values.null_count() else values
    elif values.dtype.is_numeric():
        whole = values.cast(pl.Int64, strict=False)
        top = float(whole.max() or 0)  # type: ignore[arg-type]
        if top < 3000:
            years, months = whole.set(~whole.is_between(1, 9999), None), (values - whole) * 12
            full = (months + 0.01).floor().clip(0, 11)  # 2000.083 is the first of February
            days = pl.duration(days=pl.lit(((months - full) * 30).round().clip(0)))
            values = pl.select(pl.datetime(years, 1 + full, 1) + days).to_series().alias(values.name)
        else:  # seconds, milliseconds, microseconds or nanoseconds since 1970, by their size
            size = sum(top >= limit for limit in (1e11, 1e14, 1e17))
            values = pl.from_epoch(whole, time_unit=("s", "ms", "us", "ns")[size])
    if values.dtype not in (pl.Date, pl.Datetime):  # a time of day, a duration, yes or no
        values = pl.Series(values.name, [None] * len(values))
    return values.cast(pl.Datetime("us"))


def names(values: pl.Series) -> pl.Series:
    """Return values as names of classes: 1 for yes, and for 1.0, which a missing value makes of a whole number."""
    text = values.cast(pl.Int64 if values.dtype == pl.Boolean else values.dtype).cast(pl.String)
    return text.str.strip_suffix(".0") if values.dtype.is_float() else text


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
