"""Faults that the pipeline and the planner must stop before anything is served.

Each function breaks a copy of the repo and returns what the refusal must name.
"""

import re
import time
from pathlib import Path

import polars as pl

from .. import config, releases
from ..stages import FEATURES, RAW
from .lab import OFFLINE, Alarm, DoesNotApply, refusal, scratch


def run(name: str, broken: bool) -> Alarm | None:
    """Run the fault's verbs in a copy of the repo; unbroken, any refusal is an alarm."""
    with scratch() as root:
        named = globals()[name.replace("-", "_")](root) if broken else ""
        start, before = time.time(), releases.digest(root / RAW)
        said = [refusal(root, verb) for verb in OFFLINE[name]["verbs"]][-1]
        lines = [line for line in said.splitlines() if named in line]
        harmed = broken and releases.digest(root / RAW) != before
        return Alarm(lines[0], time.time() - start, OFFLINE[name]["answer"]) if lines and not harmed else None


def missing_column(root: Path) -> str:
    column = list(config.contract().columns)[-1]
    pl.read_parquet(root / RAW).drop(column).write_parquet(root / RAW)
    return f"column {column} is missing"


def unit_error(root: Path) -> str:
    columns = config.contract().columns.items()
    known = [(c.nulls == 0, name) for name, c in columns if c.type in ("number", "integer") and c.max and c.max > 0]
    if not known:
        raise DoesNotApply("no column is a number")
    _, column = max(known)
    _change(root / RAW, column, pl.col(column) * 1000)
    return f"{column}|max"


def null_burst(root: Path) -> str:
    shares = {name: c.nulls for name, c in config.contract().columns.items() if c.nulls < 0.4}
    if not shares:
        raise DoesNotApply("each column may miss more than that")
    column = max(shares, key=lambda name: shares[name])
    _change(root / RAW, column, pl.when(pl.int_range(pl.len()) % 5 > 1).then(pl.col(column)))
    return f"of {column} is missing" if shares[column] else f"{column}|nullability"


def torn_file(root: Path) -> str:
    largest = max((root / "source").iterdir(), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.unlink()  # a link to the real one
    largest.write_bytes(whole[: len(whole) // 2])
    return f"{RAW} is as it was"


def label_leak(root: Path) -> str:
    target = pl.col(config.contract().target)
    leak = target if config.contract().task == "multiclass" else target.cast(pl.Float64)
    _change(root / FEATURES, "feature:leaked", leak)
    return "gate leakage: leaked"


def future_row(root: Path) -> str:
    """Let the join take the next outcome by the same key instead of the last."""
    if not config.contract().history:
        raise DoesNotApply("contract.yaml has no history")
    path = next(root.glob("src/*/production/history.py"))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('strategy="backward"', 'strategy="forward"'), encoding="utf-8")
    return "is not what was known"


def worse_candidate(root: Path) -> str:
    """Give three of four training labels to some other row."""
    label, past = config.contract().target, pl.col(config.contract().clock) < config.params().split.train_until
    mixed = pl.when(past & (pl.int_range(pl.len()) % 4 > 0)).then(pl.col(label).shuffle(seed=1))
    _change(root / FEATURES, label, mixed.otherwise(pl.col(label)))
    return "gate champion"


def dead_alert(root: Path) -> str:
    _promise_peak(root, 0.01)
    return "cannot fire"


def stale_derived(root: Path) -> str:
    _promise_peak(root, config.slo().peak_rps * 2)
    return "make plan"


def _change(path: Path, column: str, values: pl.Expr) -> None:
    pl.read_parquet(path).with_columns(values.alias(column)).write_parquet(path)


def _promise_peak(root: Path, rps: float) -> None:
    slo = (root / "slo.yaml").read_text(encoding="utf-8")
    (root / "slo.yaml").write_text(re.sub("(?m)^peak_rps:.*", f"peak_rps: {rps:g}", slo), encoding="utf-8")
