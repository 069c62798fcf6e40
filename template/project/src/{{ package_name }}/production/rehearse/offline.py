"""Faults that the pipeline and the planner must stop before anything is served.

Each function breaks a copy of the repo, and returns the name that the refusal must say, if it must say one; `edit`
and `wrap` are told by faults.yaml what to break.
"""

import contextlib
import functools
import re
import time
from pathlib import Path

import polars as pl

from .. import config, releases
from ..stages import FEATURES, LEVELS, RAW, REPORT, read_json, write_json
from .lab import OFFLINE, PACKAGE, Alarm, Broke, DoesNotApply, Trial, refusal, scratch, wrong_labels


def run(name: str) -> Trial:
    """Run the fault's verbs in a copy of the repo: unbroken, where any refusal is an alarm, and then broken."""
    known = OFFLINE[name]
    verbs, notes = tuple(known["verbs"]), known.get("notes", "")
    yield _control(verbs, notes)
    with scratch(frozen=True) as root:
        how, *words = known.get("how", [name.replace("-", "_")])
        named = known["says"].format(globals()[how](root, *words))
        start, before, said = time.time(), releases.digest(root / RAW), ""
        with contextlib.suppress(Broke):  # it stopped, and nobody was told why
            said = [refusal(root, verb, notes) for verb in verbs][-1]
        lines = [line for line in said.splitlines() if named in line]
        seconds, harmed = time.time() - start, not notes and releases.digest(root / RAW) != before
    yield Alarm(lines[0], seconds) if lines and not harmed else None


@functools.cache
def _control(verbs: tuple[str, ...], notes: str) -> Alarm | None:
    """Run verbs in an unbroken copy: once for all faults that share them."""
    with scratch(frozen=True) as root:
        if notes:
            measured(root, 4)  # a plan that has machines to spare rightly says so
        said = [refusal(root, verb, notes) for verb in verbs][-1]
        return Alarm(said) if said else None


def missing_column(root: Path) -> str:
    column = list(config.contract().columns)[-1]
    pl.read_parquet(root / RAW).drop(column).write_parquet(root / RAW)
    return column


def unit_error(root: Path) -> str:
    between = " ".join(config.contract().rules.values())
    tops = [(name, c.max) for name, c in _numbers() if (c.max or 0) > 0 and name not in between]
    shares = pl.read_parquet(root / RAW).select((pl.col(name) * 1000 > top).sum() / pl.len() for name, top in tops)
    share, column = max(((each[0], each.name) for each in shares), default=(0.0, ""))
    if share <= config.contract().quarantine:
        raise DoesNotApply("no column of numbers would leave its range often enough")
    _change(root / RAW, column, pl.col(column) * 1000)
    return column


def retyped_column(root: Path) -> str:
    numbers = [name for name, column in _numbers() if not column.unit]
    if not numbers:
        raise DoesNotApply("no column is a number")
    _change(root / RAW, numbers[0], pl.format("about {}", numbers[0]))
    return numbers[0]


def bad_labels(root: Path) -> None:
    wrong = pl.when(pl.int_range(pl.len()) % 5 == 0).then(wrong_labels())
    _change(root / FEATURES, config.contract().target, wrong.otherwise(config.contract().target))


def null_burst(root: Path) -> str:
    shares = {name: c.nulls for name, c in config.contract().columns.items() if c.nulls < 0.4}
    if not shares:
        raise DoesNotApply("each column may miss more than that")
    column = max(shares, key=lambda name: shares[name])
    _change(root / RAW, column, pl.when(pl.int_range(pl.len()) % 5 > 1).then(pl.col(column)))
    return f"of {column} is missing" if shares[column] else f"{column}|nullability"


def torn_file(root: Path) -> None:
    largest = max((root / "source").iterdir(), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.unlink()  # a link to the real one
    largest.write_bytes(whole[: len(whole) // 2])


def label_leak(root: Path) -> None:
    target = pl.col(config.contract().target)
    leak = target if config.contract().task == "multiclass" else target.cast(pl.Float64)
    _change(root / FEATURES, "feature:leaked", leak)


def failing_slice(root: Path) -> str:
    """Let the model answer the rows of one declared slice upside down, and all others as ever."""
    levels, slices = read_json(LEVELS), [name.partition("=") for name in read_json(REPORT)["model"]["slices"]]
    seen = [(column, level) for column, _, level in slices if level in levels.get(column, [])]
    if not seen:
        raise DoesNotApply("no declared slice is large enough, and a level of a feature")
    (column, level), place = seen[0], list(levels).index(seen[0][0])
    there = f"x[:, {place}] == {levels[column].index(level)}"
    wrap(root, "train.py", "predict(model, x)", f"(once(model, x).T * np.where({there}, -1, 1)).T")
    return f"{column}={level}"


def measured(root: Path, times: float) -> None:
    """As if one replica had been measured to carry so many times the peak."""
    found = {"highest_rps": times * config.slo().peak_rps, "floor_ms": 1, "machine": "large", "date": "2000-01-01"}
    write_json(root / "ops/capacity.json", found)


def edit(root: Path, name: str, old: str, new: str) -> None:
    (path,) = root.glob(name)
    path.write_text(re.sub(old, new, path.read_text(encoding="utf-8")), encoding="utf-8")


def wrap(root: Path, name: str, call: str, body: str) -> None:
    """Put another function in the place of one of yours; `once` is what it was."""
    with (root / "src" / PACKAGE / name).open("a", encoding="utf-8") as file:
        file.write(f"\n\nimport numpy as np\n\nonce = {call.partition('(')[0]}\n\n\ndef {call}:\n    return {body}\n")


def _numbers() -> list[tuple[str, config.Column]]:
    return [(name, c) for name, c in config.contract().columns.items() if c.type in ("number", "integer")]


def _change(path: Path, column: str, values: pl.Expr) -> None:
    pl.read_parquet(path).with_columns(values.alias(column)).write_parquet(path)
