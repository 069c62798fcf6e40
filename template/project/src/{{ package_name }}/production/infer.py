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

from . import columns, config, matrix, metrics
from .columns import shuffled, thinned, times
from .facts import plain
from .ingest import typed
from .promises import inputs

SAMPLE, LABELLED = 100_000, 500  # rows; of the labelled, three fifths are learnt from, and one fifth judges
CLASSES, RARE = 50, 10  # a target has so many classes, of so many rows
LEAK_AUC = 0.99
CLOCK = 0.99  # rank correlation with the time
SHIFT = 20  # percent: a smaller shift is promised by its owner only
TIME_NAME = re.compile(r"(?i)(^|[^a-z])(date|datetime|time|timestamp|when|day|month|year)([^a-z]|$)|(_at|_on)$")


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


def propose(rows: pl.LazyFrame, target: str, time: str | None, key: str | None, read: bool = False) -> Proposal:
    """Return the contract that the rows suggest; raises config.Problem, one line, for what cannot work.

    `read` says whether an encoder reads prose.
    """
    schema = rows.collect_schema()
    for role, name in (("target", target), ("time", time), ("id", key)):
        if name is not None and name not in schema:
            near = difflib.get_close_matches(name, list(schema), n=1, cutoff=0.5)
            way_out = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(list(schema)[:12])}"
            raise config.Problem(f"{role}: there is no column {name!r}; {way_out}")
    if taken := [name for name in schema if name in ("_row", "_when", "*") or re.match(r"\^.*\$$", name)]:
        raise config.Problem(f"columns: the name {taken[0]!r} means something else here; rename it")
    height, told = _facts(rows, schema)
    sample = rows.gather_every(max(1, height // SAMPLE)).head(SAMPLE).collect(engine="streaming")
    made = Proposal("", key, time, target, height)
    _judge_target(made, sample[target], told[target]["missing"])
    _judge_key(made, rows)
    _judge_time(made, sample)
    for name in (name for name in schema if name not in (target, made.id, made.time)):
        facts, nulls = told[name], _room(told[name]["missing"] / height)
        if kind := columns.personal(sample[name]):
            made.personal.append(name)
            made.not_features[name] = f"looks like personal data ({kind})"
        elif isinstance(found := columns.rules(sample[name], facts["low"], facts["high"], made.notes, read), str):
            made.not_features[name] = found
        else:
            made.columns[name] = found | ({"nulls": nulls} if nulls else {})
    _judge_clocks(made, sample)
    _judge_leaks(made, sample)
    if read and not any(column["type"] == "text" for column in made.columns.values()):
        made.notes.append("no column is prose: the encoder has nothing to read")
    if not made.columns:
        why = ", ".join(f"{name}: {reason}" for name, reason in list(made.not_features.items())[:3]) or "no other"
        raise config.Problem(f"columns: none is left to predict from ({why}); bring others")
    return made


def _facts(rows: pl.LazyFrame, schema: pl.Schema) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return, in one pass, how many rows there are; by column how many values are missing, and of a number the smallest
    (`low`) and the largest finite one, else None.
    """
    asked = [pl.len().alias("*")]
    for name, kind in schema.items():
        number = pl.col(name).cast(pl.Float64)
        finite = number.filter(number.is_finite()) if kind.is_numeric() else pl.lit(None)
        facts = pl.struct(missing=pl.col(name).null_count(), low=finite.min(), high=finite.max())
        asked.append(facts.alias(name))
    told = rows.select(asked).collect(engine="streaming").row(0, named=True)
    return told.pop("*"), told


def _room(share: float) -> float:
    """Return how much may be missing where so much was."""
    return float(f"{min(1.0, 2 * share + 0.01):.2g}") if share else 0.0


def _judge_target(made: Proposal, values: pl.Series, missing: int) -> None:
    """Tell the task from the target's values, and how large a model its rows carry."""
    some, name, there = values.drop_nulls(), values.name, made.rows - missing
    if some.dtype.is_temporal() or some.dtype.is_nested():
        raise config.Problem(f"target: {name!r} holds {some.dtype}; predict a number, a yes or no, or a class")
    if there < LABELLED:
        what = f"{there} rows have a value in {name!r}: fewer than the gates can judge"
        raise config.Problem(f"target: {what}; bring at least {LABELLED}")
    counts = some.alias("value").value_counts(sort=True)
    levels, rarest, named = counts.height, int(counts["count"][-1]), columns.names(counts["value"]).to_list()
    if levels < 2:
        raise config.Problem(f"target: {name!r} is always {some[0]}; there is nothing to predict")
    numeric = some.dtype.is_numeric()
    if numeric and some.is_infinite().any():
        raise config.Problem(f"target: {name!r} holds infinite values; mend the source")
    if some.dtype == pl.Boolean or levels == 2:
        made.task = "binary"
        if some.dtype != pl.Boolean and not (numeric and set(some.unique()) == {0, 1}):
            made.classes = _yes_last(named)
            made.notes.append(f"target: {made.classes[1]!r} counts as yes, {made.classes[0]!r} as no")
        share = rarest / len(some)
        made.notes += [f"target: only {share:.1%} of the rows are of the rarer class"] if share < 0.1 else []
    elif numeric and not (levels <= columns.CLOSED and (some % 1 == 0).all()):
        made.task = "regression"
    elif levels <= CLASSES:
        made.task, made.classes = "multiclass", sorted(named)
        if rarest < RARE:
            made.notes.append(f"target: the rarest class has {rarest} rows; it will hardly be learnt")
        if numeric:
            what = f"{levels} whole numbers are taken as classes"
            made.notes.append(f"target: {what}; if they are a quantity, set task: regression and classes: []")
    else:
        what = f"{name!r} is text with {levels} values in {len(some)} rows"
        raise config.Problem(f"target: {what}; predict a number, or at most {CLASSES} classes")
    made.unlabelled = _room(missing / made.rows)
    # Few rows carry small trees; how many of them, the training finds out.
    sizes = {"num_leaves": (60, 7, 31), "min_data_in_leaf": (100, 10, 200)}
    made.train = {key: min(most, max(least, int(0.6 * there) // each)) for key, (each, least, most) in sizes.items()}


def _yes_last(classes: list[str]) -> list[str]:
    """Order two classes: a word for yes is last, else the rarer one (they come sorted, the frequent first)."""
    yes = [name for name in classes if name.lower() in ("yes", "true", "y", "t", "1", "positive", "malignant", "good")]
    return [next(name for name in classes if name != yes[0]), yes[0]] if len(yes) == 1 else classes


def _judge_key(made: Proposal, rows: pl.LazyFrame) -> None:
    if made.id is None:
        return
    # Of many rows, those that thinning would keep: the same id falls in or out together.
    some = rows.select(made.id).filter(thinned(made.id, made.rows, SAMPLE)).collect(engine="streaming")
    if (unique := some.n_unique()) < 2:
        raise config.Problem(f"id: all rows have one {made.id!r}; name another column, or none")
    if unique < 0.99 * some.height:
        what = f"{some.height} rows have {unique} different values of {made.id!r}"
        raise config.Problem(f"id: {what}; rows with the same id count once: name another column, or none")


def _judge_time(made: Proposal, sample: pl.DataFrame) -> None:
    """Check the time that was named, or find one; then cut it so that three fifths are learnt from."""
    if made.time:
        when = times(sample[made.time])
        odd = sample[made.time].filter(when.is_null())
        if len(odd) > 0.02 * len(when):
            shown = ", ".join(map(str, odd.unique(maintain_order=True).head(3)))
            what = f"{len(odd)} of {len(when)} values of {made.time!r} do not parse as a time (e.g. {shown})"
            raise config.Problem(f"time: {what}; name another column, or none")
    elif found := _times(sample.drop(made.target, made.id or [])):
        when = max(found, key=pl.Series.n_unique)
        made.time = when.name
        made.notes.append(f"time: {made.time!r} orders the rows; older ones train, newer ones judge")
    else:
        made.notes.append("time: none found; the split is by chance, and drift is watched by the time of the answer")
        made.split, made.drift = _cut(shuffled(made.rows).sort()), _found(made.rows / 5, 7)
        return
    when = when.drop_nulls().sort()
    made.split = _cut(when)
    cuts = [datetime.fromisoformat(cut) for cut in made.split.values()]
    if when.n_unique() <= 4 or not when[0] < cuts[0] < cuts[1] <= when[-1]:
        what = f"{made.time!r} has too few different times for a split into past, present and future"
        raise config.Problem(f"time: {what}; name another column, or none")
    days = max((when[-1] - when[0]).total_seconds() / 86400, 1e-3)
    # 200 rows and one time, if a week has fewer.
    window = 7 * math.ceil(max(2 * days * 100 / made.rows, days / (when.n_unique() - 1)) / 7)
    made.drift = _found(made.rows * window / days, window)
    if made.drift["shift_percent"] > SHIFT or window > 7:
        what = "a shift of {shift_percent:g} % can be found, within {within_days:g} days".format(**made.drift)
        made.notes.append(f"drift: {made.rows * window / days:.0f} rows in {window} days: {what}")


def _found(rows: float, days: int) -> dict[str, float]:
    """Return what can be promised of drift where windows of so many days have so many rows."""
    assumed = plain(inputs()["assumed"])
    least = math.ceil(100 * math.sqrt(assumed["rows_of_a_shift"] / rows))
    return {"shift_percent": min(90, max(SHIFT, least)), "within_days": days * (assumed["confirm_windows"] + 1)}


def _cut(when: pl.Series) -> dict[str, str]:
    """Return the split of sorted times: three fifths are learnt from, one judges, one is live."""
    cuts = {"train_until": when[int(0.6 * len(when))], "evaluate_until": when[int(0.8 * len(when))]}
    return {key: f"{cut:%Y-%m-%d %H:%M:%S}" for key, cut in cuts.items()}


def _times(sample: pl.DataFrame) -> list[pl.Series]:
    """Return the times of each column that may say when: dates, text that reads as dates, numbers by their name."""
    found = []
    for values in (column for column in sample if not column.dtype.is_numeric() or TIME_NAME.search(column.name)):
        when, high = times(values).drop_nulls(), values.max() if values.dtype.is_numeric() else 0
        # A large number that counts something else would be seconds of the seventies.
        right = when.dt.year().is_between(1980 if float(high or 0) > 3e7 else 1800, 2200)  # type: ignore[arg-type]
        if right.sum() >= 0.98 * len(values) and when.n_unique() > 4:
            found.append(when)
    return found


def _judge_clocks(made: Proposal, sample: pl.DataFrame) -> None:
    """Take out what only repeats the time: another clock, a counter. It drifts by nature, and says nothing new."""
    when, kinds = times(sample[made.time]) if made.time else None, ("integer", "number", "datetime")
    for name in [name for name, rules in made.columns.items() if made.time and rules["type"] in kinds]:
        values = sample[name] if sample[name].dtype.is_numeric() else times(sample[name])
        both = pl.DataFrame({"when": when, "value": values}).drop_nulls()
        if abs(both.select(pl.corr("when", "value", method="spearman")).item() or 0) >= CLOCK:
            made.not_features[name] = f"goes with {made.time}: it only counts the time"
            del made.columns[name]


def _judge_leaks(made: Proposal, sample: pl.DataFrame) -> None:
    """Take out what alone gives the answer away."""
    facts: dict[str, Any] = {"task": made.task, "target": made.target, "classes": made.classes, "columns": made.columns}
    contract = config.Contract(dataset="-", version=1, quarantine=0, **facts)
    frame = typed(sample.with_row_index(contract.key), contract)
    y = matrix.targets(frame[made.target].to_list(), contract)
    odd = np.arange(len(y)) % 2 == 1
    learnt, judged = odd & ~np.isnan(y), ~odd & ~np.isnan(y)
    for name, column in contract.columns.items():
        if column.type == "text":
            continue  # read by its encoder, which is not asked here
        one = contract.model_copy(update={"columns": {name: column}})  # all at once are large, as Python's values
        array = matrix.columns({name: frame[name].to_list()}, one)[name]
        alone = metrics.alone(array[learnt], y[learnt], array[judged], contract.several)
        if (found := metrics.auc(metrics.questions(y[judged], alone))) >= LEAK_AUC:
            made.not_features[name] = f"alone it gives the answer away (AUC {found:.3f}): is it known before?"
            del made.columns[name]
