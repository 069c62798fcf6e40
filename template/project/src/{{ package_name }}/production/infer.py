"""Work out from the rows what they are: task, columns, times, leaks, personal data. Nothing is written.

Statistics stream over all rows; what needs values is judged on a sample of at most 100,000.
"""

import difflib
import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import yaml

from . import config, matrix, metrics
from .parse import numbers, shuffled, thinned, times
from .promises import ASSUMPTIONS

SAMPLE, LABELLED = 100_000, 500  # rows; of the labelled, three fifths are learnt from, and one fifth judges
CLOSED, CLASSES, RARE = 12, 50, 10  # text of so many values is a closed list; a target has so many classes, of so many
LEAK_AUC = 0.99
SHIFT = 20  # percent: a smaller shift is promised by its owner only
ROOM = 0.5  # a range may be this much wider than what was seen
TIME_NAME = re.compile(r"(?i)(^|[^a-z])(date|datetime|time|timestamp|when|day|month|year)([^a-z]|$)|(_at|_on)$")
PERSONAL_NAME = re.compile(
    r"(?i)(^|[^a-z])(e-?mail|phone|mobile|ssn|passport|iban|first_?name|last_?name|full_?name|surname|address|birth)"
)
PERSONAL = {
    "an e-mail address": r"^[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}$",
    "a phone number": r"^\+\d[\d ()/-]{7,}$",
    "an IBAN": r"^[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?$",
    "a card number": r"^(?:\d{4}[ -]){3}\d{4}$",
    "an IP address": r"^(?:\d{1,3}\.){3}\d{1,3}$",
}
UNIT = re.compile(r"^(?P<before>[$€£¥]?)\s*-?[\d,]*\.?\d+\s*(?P<after>[a-zA-Zµ°%€£$/²³]{0,8})$")


@dataclass
class Proposal:
    """What `make contract` writes, with a note on each decision that a person should look at."""

    task: Any  # as in contract.yaml
    id: str | None
    time: str | None
    target: str
    rows: int
    classes: list[str] = field(default_factory=list)
    unlabelled: float = 0.0
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    not_features: dict[str, str] = field(default_factory=dict)
    personal: list[str] = field(default_factory=list)
    split: dict[str, str] = field(default_factory=dict)
    drift: dict[str, float] = field(default_factory=dict)  # as in slo.yaml
    train: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def propose(rows: pl.LazyFrame, target: str, time: str | None, key: str | None) -> Proposal:
    """Return the contract that the rows suggest; raises config.Problem, one line, for what cannot work."""
    schema = rows.collect_schema()
    for role, name in (("target", target), ("time", time), ("id", key)):
        if name is not None and name not in schema:
            near = difflib.get_close_matches(name, list(schema), n=1, cutoff=0.5)
            way_out = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(list(schema)[:12])}"
            raise config.Problem(f"{role}: there is no column {name!r}; {way_out}")
    if taken := [name for name in schema if name in ("_row", "_when", "*") or re.match(r"\^.*\$$", name)]:
        raise config.Problem(f"columns: the name {taken[0]!r} means something else here; rename it")
    height, nulls, limits = _facts(rows, schema)
    sample = rows.gather_every(max(1, height // SAMPLE)).head(SAMPLE).collect(engine="streaming")
    made = Proposal("", key, time, target, height)
    _judge_target(made, sample[target], nulls[target], height)
    _judge_key(made, rows, key)
    _judge_time(made, sample)
    others = [name for name in schema if name not in (target, made.id, made.time)]
    for name in others:
        rules = _column(made, sample[name], nulls[name] / max(height, 1), limits.get(name))
        if rules:
            made.columns[name] = rules
    _judge_leaks(made, sample)
    if not made.columns:
        why = ", ".join(f"{name}: {reason}" for name, reason in list(made.not_features.items())[:3]) or "no other"
        raise config.Problem(f"columns: none is left to predict from ({why}); bring others")
    return made


def _judge_target(made: Proposal, values: pl.Series, missing: int, height: int) -> None:
    some, name = values.drop_nulls(), values.name
    if some.dtype.is_temporal() or some.dtype.is_nested():
        raise config.Problem(f"target: {name!r} holds {some.dtype}; predict a number, a yes or no, or a class")
    if height - missing < LABELLED:
        what = f"{height - missing} rows have a value in {name!r}: fewer than the gates can judge"
        raise config.Problem(f"target: {what}; bring at least {LABELLED}")
    counts = some.value_counts(sort=True)
    levels, rarest = counts.height, int(counts["count"][-1])
    if levels < 2:
        raise config.Problem(f"target: {name!r} is always {some[0]}; there is nothing to predict")
    numeric, whole = some.dtype.is_numeric(), some.dtype.is_integer()
    if numeric and some.is_infinite().any():
        raise config.Problem(f"target: {name!r} holds infinite values; mend the source")
    if some.dtype == pl.Boolean or levels == 2:
        made.task = "binary"
        if some.dtype != pl.Boolean and not (numeric and set(some.unique()) == {0, 1}):
            made.classes = _yes_last(counts[name].cast(pl.String).to_list())
            made.notes.append(f"target: {made.classes[1]!r} counts as yes, {made.classes[0]!r} as no")
        share = rarest / len(some)
        made.notes += [f"target: only {share:.1%} of the rows are of the rarer class"] if share < 0.1 else []
    elif numeric and not (whole and levels <= CLOSED):
        made.task = "regression"
    elif levels <= CLASSES:
        made.task, made.classes = "multiclass", sorted(counts[name].cast(pl.String).to_list())
        if rarest < RARE:
            made.notes.append(f"target: the rarest class has {rarest} rows; it will hardly be learnt")
        if numeric:
            made.notes.append(f"target: {levels} whole numbers are taken as classes; if they are a quantity, "
                              "set task: regression and classes: []")  # fmt: skip
    else:
        what = f"{name!r} is text with {levels} values in {len(some)} rows"
        raise config.Problem(f"target: {what}; predict a number, or at most {CLASSES} classes")
    made.unlabelled = _room(missing / height)
    # Few rows carry a small model: as many rounds and leaves as they can fill.
    learnt = int(0.6 * (height - missing))
    made.train = {"num_iterations": min(200, max(60, learnt // 8)), "num_leaves": min(31, max(7, learnt // 60))}
    made.train["min_data_in_leaf"] = min(200, max(10, learnt // 100))


def _yes_last(classes: list[str]) -> list[str]:
    """Order two classes: a word for yes is last, else the rarer one (they come sorted, the frequent first)."""
    yes = [name for name in classes if name.lower() in ("yes", "true", "y", "t", "1", "positive", "malignant", "good")]
    return [next(name for name in classes if name != yes[0]), yes[0]] if len(yes) == 1 else classes


def _judge_key(made: Proposal, rows: pl.LazyFrame, key: str | None) -> None:
    if key is None:
        return
    # Of many rows, those that thinning would keep: the same id falls in or out together.
    some = rows.select(pl.col(key)).filter(thinned(key, made.rows, SAMPLE))
    count, unique = some.select(pl.len().alias("rows"), pl.col(key).n_unique()).collect(engine="streaming").row(0)
    if unique < 2:
        raise config.Problem(f"id: all rows have one {key!r}; name another column, or none")
    if unique < 0.99 * count:
        what = f"{count} rows have {unique} different values of {key!r}"
        raise config.Problem(f"id: {what}; rows with the same id count once: name another column, or none")


def _judge_time(made: Proposal, sample: pl.DataFrame) -> None:
    """Check the time that was named, or find one; then cut it so that three fifths are learnt from."""
    named, candidates = made.time, [made.time] if made.time else []
    if not named:
        dates = [name for name in sample.columns if _dated(sample[name])]
        candidates = dates + [n for n in sample.columns if n not in dates and TIME_NAME.search(n)]
    found: dict[str, pl.Series] = {}
    for name in candidates:
        if name in (made.target, made.id) or sample.schema[name] == pl.Time:
            continue
        values = sample[name]
        if not named and values.dtype.is_numeric() and not values.drop_nulls().is_between(1800, 2200).all():
            continue
        when = times(values)
        parsed = when.drop_nulls()
        if len(parsed) >= 0.98 * len(values) and (named or parsed.n_unique() > 4):
            found[name] = parsed
        elif named:
            odd = values.filter(when.is_null())
            shown = ", ".join(map(str, odd.unique(maintain_order=True).head(3)))
            what = f"{len(odd)} of {len(values)} values of {name!r} do not parse as a time (e.g. {shown})"
            raise config.Problem(f"time: {what}; name another column, or none")
    if not found:
        made.time = None
        made.notes.append("time: none found; the split is by chance, and drift is watched by the time of the answer")
        made.split = _cut(shuffled(made.rows).sort())
        made.drift = _found(made.rows / 5, 7)
        return
    made.time = max(found, key=lambda name: found[name].n_unique())
    if not named:
        made.notes.append(f"time: {made.time!r} orders the rows; older ones train, newer ones judge")
    when = found[made.time].sort()
    made.split = _cut(when)
    cuts = [datetime.fromisoformat(cut) for cut in made.split.values()]
    if when.n_unique() <= 4 or not when[0] < cuts[0] < cuts[1] <= when[-1]:
        what = f"{made.time!r} has too few different times for a split into past, present and future"
        raise config.Problem(f"time: {what}; name another column, or none")
    days = max((when[-1] - when[0]).total_seconds() / 86400, 1e-3)
    window = 7 * math.ceil(2 * days * 100 / made.rows / 7)  # 200 rows, if a week has fewer
    made.drift = _found(made.rows * window / days, window)
    if made.drift["shift_percent"] > SHIFT or window > 7:
        what = f"drift: {made.rows * window / days:.0f} rows in {window} days: "
        what += "a shift of {shift_percent:g} % can be found, within {within_days:g} days".format(**made.drift)
        made.notes.append(what)


def _found(rows: float, days: int) -> dict[str, float]:
    """Return what can be promised of drift where windows of so many days have so many rows."""
    assumed = yaml.safe_load(ASSUMPTIONS.read_text(encoding="utf-8"))
    least = 100 * math.sqrt(assumed["rows_of_a_shift"]["value"] / rows)
    return {
        "shift_percent": min(90, max(SHIFT, math.ceil(least))),
        "within_days": days * (assumed["confirm_windows"]["value"] + 1),
    }


def _cut(when: pl.Series) -> dict[str, str]:
    """Return the split of sorted times: three fifths are learnt from, one judges, one is live."""
    cuts = {"train_until": when[int(0.6 * len(when))], "evaluate_until": when[int(0.8 * len(when))]}
    return {key: f"{cut:%Y-%m-%d %H:%M:%S}" for key, cut in cuts.items()}


def _dated(values: pl.Series) -> bool:
    """Whether these are dates, or text that reads as dates."""
    if values.dtype == pl.String:
        some = values.drop_nulls().head(100)
        return len(some) > 0 and times(some).null_count() <= 0.02 * len(some)
    return values.dtype.is_temporal() and values.dtype != pl.Time


def _facts(rows: pl.LazyFrame, schema: pl.Schema) -> tuple[int, dict[str, int], dict[str, tuple[float, float]]]:
    """Return, in one pass: rows, missing values by column, the smallest and largest finite value of each number."""
    numeric = [name for name in schema if schema[name].is_numeric()]
    finite = {name: pl.col(name).cast(pl.Float64).filter(pl.col(name).cast(pl.Float64).is_finite()) for name in numeric}
    asked = {f"null {name}": pl.col(name).null_count() for name in schema}
    asked |= {f"min {name}": value.min() for name, value in finite.items()}
    asked |= {f"max {name}": value.max() for name, value in finite.items()}
    told = rows.select(pl.len().alias("rows"), **asked).collect(engine="streaming").row(0, named=True)
    limits = {name: (told[f"min {name}"], told[f"max {name}"]) for name in numeric}
    known = {name: found for name, found in limits.items() if found[0] is not None}
    return told["rows"], {name: told[f"null {name}"] for name in schema}, known


def _room(share: float) -> float:
    """Return how much may be missing where so much was."""
    return float(f"{min(1.0, 2 * share + 0.01):.2g}") if share else 0.0


def _column(
    made: Proposal, values: pl.Series, missing: float, limits: tuple[float, float] | None
) -> dict[str, Any] | None:
    """Return the rules of one column; None, and why under not_features, when it must stay out."""
    some, name, nulls = values.drop_nulls(), values.name, {"nulls": _room(missing)} if missing else {}
    text = some if some.dtype == pl.String else None
    kind = next((k for k, form in PERSONAL.items() if text is not None and _share(text, form) > 0.5), "")
    if not name:
        made.not_features[name] = "it has no name"
    elif kind or (PERSONAL_NAME.search(name) and text is not None):
        made.not_features[name] = f"looks like personal data ({kind or 'by its name'})"
        made.personal.append(name)
    elif some.n_unique() < 2:
        made.not_features[name] = "one value, or none: it says nothing"
    elif some.dtype == pl.Boolean:
        return {"type": "boolean"} | nulls
    elif some.dtype.is_temporal() and some.dtype != pl.Time:
        return {"type": "datetime"} | nulls
    elif limits and some.dtype.is_integer() and some.n_unique() == len(some) and _counts_up(some):
        made.not_features[name] = "counts the rows"
    elif limits:
        return _number(some, limits) | nulls
    elif text is None:
        made.not_features[name] = f"its type {some.dtype} is neither text, number, date nor yes or no"
    else:
        return _text(made, text, nulls)
    return None


def _share(text: pl.Series, form: str) -> float:
    return float(text.str.contains(form).sum() / max(len(text), 1))


def _counts_up(values: pl.Series) -> bool:
    steps = values.diff().drop_nulls()
    return steps.n_unique() == 1 and bool(steps[0] != 0)


def _number(values: pl.Series, limits: tuple[float, float], unit: str = "") -> dict[str, Any]:
    low, high = limits
    room = ROOM * (high - low)
    kind = "integer" if values.dtype.is_integer() else "number"
    edges = {
        "min": low - room if low < 0 else max(low - room, 0.0),
        "max": high + room if high > 0 else min(high + room, 0.0),
    }
    rounded = {key: float(f"{edge:.4g}") for key, edge in edges.items()}
    return {"type": kind} | ({"unit": unit} if unit else {}) | rounded


def _text(made: Proposal, text: pl.Series, nulls: dict[str, float]) -> dict[str, Any] | None:
    name, levels = text.name, text.n_unique()
    found = [UNIT.match(value.strip()) for value in text.head(1000)]
    units = {match["before"] or match["after"] for match in found if match}
    if sum(map(bool, found)) >= 0.98 * len(found) and len(units) == 1:
        unit = units.pop()
        values = numbers(text, unit).drop_nulls()
        if unit and len(values) >= 0.98 * len(text):
            made.notes.append(f"{name}: numbers with the unit {unit!r}; requests carry the bare number")
            return _number(values, (float(values.min()), float(values.max())), unit) | nulls  # type: ignore[arg-type]
    if times(text).null_count() <= 0.02 * len(text):
        return {"type": "datetime"} | nulls
    mixed = text.str.strip_chars().cast(pl.Float64, strict=False).is_not_null().mean()
    if isinstance(mixed, float) and 0.5 < mixed < 1:
        odd = text.filter(text.str.strip_chars().cast(pl.Float64, strict=False).is_null())[0]
        made.notes.append(f"{name}: mostly numbers, but also {odd!r}; taken as text: mend the source if it is a number")
    words = float(text.str.count_matches(r"\s+").mean() or 0)  # type: ignore[arg-type]
    if levels > 0.9 * len(text) and levels > 100:
        made.not_features[name] = (
            "free text: nearly every row has its own" if words > 2 else "an identifier: no two rows alike"
        )
        return None
    if levels <= CLOSED:
        return {"type": "string", "levels": sorted(text.unique())} | nulls
    if levels > 1000:
        made.notes.append(f"{name}: {levels} values; the 1000 most frequent are told apart, the rest count as missing")
    return {"type": "string", "max_length": 2 * int(text.str.len_chars().max() or 1)} | nulls  # type: ignore[arg-type]


def _judge_leaks(made: Proposal, sample: pl.DataFrame) -> None:
    """Take out what alone gives the answer away."""
    kind = {"task": made.task, "target": made.target, "classes": made.classes}
    contract = config.Contract(dataset="-", version=1, quarantine=0, columns={}, **kind)
    values = sample[made.target]
    named = values.cast(pl.String) if made.classes else values
    y = matrix.targets((named == made.classes[-1] if len(made.classes) == 2 else named).to_list(), contract)
    odd = np.arange(len(y)) % 2 == 1
    learnt, judged = odd & ~np.isnan(y), ~odd & ~np.isnan(y)
    for name, rules in list(made.columns.items()):
        if rules["type"] == "string":
            array = np.array(sample[name].cast(pl.String).to_list(), dtype=object)
        else:
            column = numbers(sample[name], rules["unit"]) if rules.get("unit") else sample[name]
            column = times(column) if rules["type"] == "datetime" else column
            array = column.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        alone = metrics.alone(array[learnt], y[learnt], array[judged], contract.several)
        if (found := metrics.auc(metrics.questions(y[judged], alone))) >= LEAK_AUC:
            made.not_features[name] = f"alone it gives the answer away (AUC {found:.3f}): is it known before?"
            del made.columns[name]
