"""Faults that the pipeline and the planner must stop before anything is served.

Each function breaks a copy of the repo and returns what the refusal must name.
"""

import functools
import re
import time
from pathlib import Path

import polars as pl

from .. import config, releases
from ..stages import FEATURES, LEVELS, RAW, REPORT, read_json, write_json
from .lab import OFFLINE, PACKAGE, Alarm, DoesNotApply, refusal, scratch

SKEWED = """

right = features


def features(columns):
    made = right(columns)
    name = next(iter(made))
    if len(made[name]) == 1:
        made[name] = made[name] + (1.0 if made[name].dtype != object else "!")
    return made
"""


def run(name: str, broken: bool) -> Alarm | None:
    """Run the fault's verbs in a copy of the repo; unbroken, any refusal is an alarm."""
    verbs, notes = tuple(OFFLINE[name]["verbs"]), OFFLINE[name].get("notes", "")
    if not broken:
        return _control(verbs, notes)
    with scratch() as root:
        named = globals()[name.replace("-", "_")](root)
        start, before = time.time(), releases.digest(root / RAW)
        lines = [line for line in _last(root, verbs, notes).splitlines() if named in line]
        harmed = not notes and releases.digest(root / RAW) != before
        return Alarm(lines[0], time.time() - start, OFFLINE[name]["answer"]) if lines and not harmed else None


@functools.cache
def _control(verbs: tuple[str, ...], notes: str) -> Alarm | None:
    """Run verbs in an unbroken copy: once for all faults that share them."""
    with scratch() as root:
        said = _last(root, verbs, notes)
        return Alarm(said) if said else None


def _last(root: Path, verbs: tuple[str, ...], notes: str) -> str:
    return [refusal(root, verb, notes) for verb in verbs][-1]


def missing_column(root: Path) -> str:
    column = list(config.contract().columns)[-1]
    pl.read_parquet(root / RAW).drop(column).write_parquet(root / RAW)
    return f"column {column} is missing"


def unit_error(root: Path) -> str:
    columns, between = config.contract().columns.items(), " ".join(config.contract().rules.values())
    known = [
        (c.nulls == 0, n)
        for n, c in columns
        if c.type in ("number", "integer") and (c.max or 0) > 0 and n not in between
    ]
    if not known:
        raise DoesNotApply("no column is a number")
    _, column = max(known)
    _change(root / RAW, column, pl.col(column) * 1000)
    return f"{column}|m"  # min or max


def retyped_column(root: Path) -> str:
    numbers = [name for name, c in config.contract().columns.items() if c.type in ("number", "integer") and not c.unit]
    if not numbers:
        raise DoesNotApply("no column is a number")
    _change(root / RAW, numbers[0], pl.format("about {}", numbers[0]))
    return f"column {numbers[0]} came as text"


def replayed_batch(root: Path) -> str:
    if not config.contract().id:
        raise DoesNotApply("rows without an id cannot be told apart")
    _wrap(root, "ingest", "source", "pl.concat([once(source), once(source)])")
    return "rows came twice and count once"


def bad_labels(root: Path) -> str:
    """Make one label in five wrong."""
    _mislabel(root, pl.int_range(pl.len()) % 5 == 0)
    return "evaluate: gate "


def skew(root: Path) -> str:
    _append(root / f"src/{PACKAGE}/features.py", SKEWED)
    return "differs between training and service"


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
    _wrap(root, "train", "x, y, *rest", "once(x, np.where(np.arange(len(y)) % 4, np.roll(y, 999), y), *rest)")
    return "gate champion"


def no_better_than_baseline(root: Path) -> str:
    """Let the model see nothing of its rows: it answers the same to all."""
    _wrap(root, "train", "x, y, *rest", "once(np.zeros_like(x), y, *rest)")
    return "gate baseline"


def failing_slice(root: Path) -> str:
    """Let the model answer the rows of one declared slice upside down, and all others as ever."""
    levels, slices = read_json(LEVELS), [name.partition("=") for name in read_json(REPORT)["model"]["slices"]]
    seen = [(column, level) for column, _, level in slices if level in levels.get(column, [])]
    if not seen:
        raise DoesNotApply("no declared slice is large enough, and a level of a feature")
    (column, level), place = seen[0], list(levels).index(seen[0][0])
    there = f"x[:, {place}] == {levels[column].index(level)}"
    _wrap(root, "predict", "model, x", f"(once(model, x).T * np.where({there}, -1, 1)).T")
    return f"gate slice: {column}={level}"


def unstable_model(root: Path) -> str:
    _wrap(root, "predict", "model, x", "once(model, x) * np.nan")
    return "the model answers NaN"


def irreproducible(root: Path) -> str:
    """Let each training see its rows in another order."""
    _wrap(root, "train", "x, y, *rest", "once(x[(order := np.random.permutation(len(y)))], y[order], *rest)")
    return "gate reproducible"


def dead_alert(root: Path) -> str:
    _promise_peak(root, 0.01)
    return "cannot fire"


def stale_derived(root: Path) -> str:
    _promise_peak(root, config.slo().peak_rps * 2)
    return "make plan"


def no_runbook(root: Path) -> str:
    _edit(root / "ops/runbook.md", "## DataStale", "## Old data")
    return "has no section DataStale"


def unowned(root: Path) -> str:
    _edit(root / "slo.yaml", r"(?m)^  data: .*\n", "")
    return "owners.data has no handle"


def cost_overrun(root: Path) -> str:
    _edit(root / "slo.yaml", r"(usd_per_1000: \{target:) [^,]*", r"\1 0.0000001")
    return "cost more than promised"


def idle_capacity(root: Path) -> str:
    """As if one replica had been measured to carry twenty times the peak."""
    measured = {
        "highest_rps": 20 * config.slo().peak_rps,
        "floor_ms": 1,
        "machine": "one too large",
        "date": "2000-01-01",
    }
    write_json(root / "ops/capacity.json", measured)
    return "idle"


def _mislabel(root: Path, which: pl.Expr) -> None:
    """Give some rows the other label, the next class, or the number mirrored at the median."""
    contract, label = config.contract(), pl.col(config.contract().target)
    other = {
        "binary": lambda: ~label,
        "multiclass": lambda: label.replace_strict(contract.classes, [*contract.classes[1:], contract.classes[0]]),
        "regression": lambda: 2 * label.median() - label,
    }[contract.task]()
    _change(root / FEATURES, contract.target, pl.when(which).then(other).otherwise(label))


def _wrap(root: Path, name: str, arguments: str, body: str) -> None:
    """Put another function in the place of ingest, or of one of train.py; `once` is what it was."""
    code = f"\n\nimport numpy as np\n\nonce = {name}\n\n\ndef {name}({arguments}):\n    return {body}\n"
    _append(root / f"src/{PACKAGE}/{'ingest' if name == 'ingest' else 'train'}.py", code)


def _change(path: Path, column: str, values: pl.Expr) -> None:
    pl.read_parquet(path).with_columns(values.alias(column)).write_parquet(path)


def _append(path: Path, code: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + code, encoding="utf-8")


def _promise_peak(root: Path, rps: float) -> None:
    _edit(root / "slo.yaml", "(?m)^peak_rps:.*", f"peak_rps: {rps:g}")


def _edit(path: Path, old: str, new: str) -> None:
    path.write_text(re.sub(old, new, path.read_text(encoding="utf-8")), encoding="utf-8")
