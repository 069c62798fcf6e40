"""What the machinery makes of rows: times, however written; what only repeats them; gaps."""

import importlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

Module = Callable[[str], ModuleType]
ROWS, START = 3000, datetime(2015, 1, 1)
FORMS = ["%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%d-%b-%Y", "%b %d, %Y"]
FORMS += ["%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%SZ"]


@pytest.fixture
def module(render: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Module:
    """Return how to import a module of a project's machinery, which here has a name of its own."""
    root = render(project_name="clocks")
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root / "src"))
    return lambda name: importlib.import_module(f"clocks.production.{name}")


def days(count: int = ROWS) -> list[datetime]:
    return [START + timedelta(days=day) for day in range(count)]


@pytest.mark.parametrize("form", FORMS)
def test_a_date_is_read_however_it_is_written(form: str, module: Module) -> None:
    text = pl.Series([f"{day:{form}}" for day in days()])
    assert module("columns").times(text).to_list() == days()


def test_numbers_are_years_days_or_seconds_by_their_size(module: Module) -> None:
    for number, meant in [
        (2015, START),
        (2015.0, START),
        (2015 + 1 / 12, datetime(2015, 2, 1)),
        (2015.5, datetime(2015, 7, 1)),
        (2015.99999, datetime(2015, 12, 31)),
        (201502, datetime(2015, 2, 1)),
        (20150203, datetime(2015, 2, 3)),
        (1420070400, START),
        (1420070400_000, START),
    ]:
        assert module("columns").times(pl.Series([number])).item() == meant, number


@pytest.mark.parametrize(
    "odd", [94105, 10001, 0.3, -3.5, float("inf"), "10001", "4155551", "no", "12:30"]
)
def test_what_is_no_time_is_none(odd: object, module: Module) -> None:
    assert module("columns").times(pl.Series([odd])).item() is None


def rows(**columns: object) -> pl.LazyFrame:
    chance = np.random.default_rng(1)
    x = chance.normal(size=ROWS)
    return pl.DataFrame({"x": x, "y": x + chance.normal(size=ROWS), **columns}).lazy()


def test_what_only_repeats_the_time_is_left_out(module: Module) -> None:
    """Another clock, a counter with gaps: they drift by nature."""
    chance, when = np.random.default_rng(2), days()
    counter = np.cumsum(chance.integers(1, 9, ROWS))
    frame = rows(
        date=[day.year + (day.month - 1) / 12 for day in when],
        year=[day.year for day in when],
        month=[day.month for day in when],
        order=counter,
        updated=[f"{day + timedelta(days=3):%Y-%m-%d}" for day in when],
        born=[START - timedelta(days=int(age)) for age in chance.integers(1, 9999, ROWS)],
    )
    found = module("infer").propose(frame, "y", None, None)
    assert found.time == "updated"
    assert found.not_features.keys() == {"date", "year", "order"}
    assert "goes with updated" in found.not_features["order"]
    assert found.columns.keys() == {"x", "month", "born"}


NUMBERS = [
    ("time", range(1420070400, 1420070400 + ROWS), True),
    ("seen at", range(1420070400, 1420070400 + ROWS), False),
    ("time_spent", range(40_000_000, 40_000_000 + ROWS), False),
    ("day", [1 + place % 31 for place in range(ROWS)], False),
]


@pytest.mark.parametrize(
    ("name", "numbers", "is_time"), NUMBERS, ids=[name for name, *_ in NUMBERS]
)
def test_a_number_is_a_time_by_its_name_and_size(
    name: str, numbers: list[int], is_time: bool, module: Module
) -> None:
    found = module("infer").propose(rows(**{name: list(numbers)}), "y", None, None)
    assert found.time == (name if is_time else None)


@pytest.mark.parametrize("time", ["year", "date"])
def test_a_window_of_drift_is_as_long_as_the_times_lie_apart(time: str, module: Module) -> None:
    years = [2005 + place * 10 // ROWS for place in range(ROWS)]
    frame = rows(**{time: years if time == "year" else [f"{year}-12-31" for year in years]})
    found = module("infer").propose(frame, "y", None, None)
    assert found.time == time
    assert 4 * 365 <= found.drift["within_days"] <= 5 * 365


def test_a_text_column_that_came_later_has_no_bins(module: Module) -> None:
    drift, missing = module("drift"), np.array([None, None], dtype=object)
    assert drift.deciles(missing) == []
    assert drift.shares(np.array(["new", None], dtype=object), []).tolist() == [0.5, 0.5]
