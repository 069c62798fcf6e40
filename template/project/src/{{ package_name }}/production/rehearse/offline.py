"""Faults that the pipeline and the planner must stop before anything is served."""

import hashlib
import shutil
import time
from pathlib import Path

import polars as pl

from ... import ingest as yours_ingest
from .. import config
from ..stages import FEATURES, RAW, VALID
from .lab import Alarm, Lab, Scratch, fault

STOPS = "the pipeline stops before training; the served model stays"


def _number(contract: config.Contract) -> str:
    """Return the number column with the tightest upper bound that any value may break."""
    bounded = [
        name
        for name, column in contract.columns.items()
        if column.type in ("number", "integer") and column.max and not column.nulls
    ]
    return bounded[-1]


@fault("upstream changes its schema", "validate")
def missing_column(lab: Lab, broken: bool) -> Alarm | None:
    column = list(config.contract().columns)[-1]
    with lab.scratch(str(RAW)) as scratch:
        if broken:
            scratch.change(str(RAW), drop=column)
        return scratch.expect(f"column {column} is missing", STOPS, "validate")


@fault("messy upstream: a unit changes", "validate")
def unit_error(lab: Lab, broken: bool) -> Alarm | None:
    column = _number(config.contract())
    with lab.scratch(str(RAW)) as scratch:
        if broken:
            scratch.change(str(RAW), pl.col(column) * 1000)
        rows = "the rows are in quarantine under the rule's name; " + STOPS
        return scratch.expect(f"{column}|max", rows, "validate")


@fault("incomplete data", "validate")
def null_burst(lab: Lab, broken: bool) -> Alarm | None:
    contract = config.contract()
    column = next(name for name, c in contract.columns.items() if 0 < c.nulls < 0.4)
    with lab.scratch(str(RAW)) as scratch:
        if broken:
            lost = pl.int_range(pl.len()) % 5 < 2
            scratch.change(str(RAW), pl.when(~lost).then(pl.col(column)).alias(column))
        return scratch.expect(f"of {column} is missing", STOPS, "validate")


@fault("unstable pipeline: a torn file", "ingest")
def torn_file(lab: Lab, broken: bool) -> Alarm | None:
    files = yours_ingest.files(config.params().source)
    with lab.scratch() as scratch:
        source = scratch.root / "source"
        source.mkdir()
        for path in files:
            shutil.copy(path, source)
        shutil.copy(RAW, scratch.root / RAW)
        before = _digest(scratch.root / RAW)
        if broken:
            largest = max(source.iterdir(), key=lambda path: path.stat().st_size)
            largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
        intact = "the earlier data is intact, byte for byte"
        alarm = scratch.expect(f"{RAW} is as it was", intact, "ingest", "--source", str(source))
        return alarm if _digest(scratch.root / RAW) == before else None


@fault("demo numbers too good: the target among the features", "evaluate: leakage gate")
def label_leak(lab: Lab, broken: bool) -> Alarm | None:
    target = config.contract().target
    with lab.scratch(str(FEATURES), str(VALID)) as scratch:
        if broken:
            leak = pl.col(target).cast(pl.Float64).alias("feature:leaked")
            scratch.change(str(FEATURES), leak)
        return _judge(scratch, "gate leakage: leaked")


@fault("retraining as a ritual: a candidate below the champion", "evaluate: champion gate")
def worse_candidate(lab: Lab, broken: bool) -> Alarm | None:
    contract, split = config.contract(), config.params().split
    with lab.scratch(str(FEATURES), str(VALID)) as scratch:
        if broken:
            past = pl.col(contract.time) < split.train_until
            # Three of four training labels belong to some other row.
            mixed = past & (pl.int_range(pl.len()) % 4 > 0)
            other = pl.col(contract.target).shuffle(seed=1)
            changed = pl.when(mixed).then(other).otherwise(pl.col(contract.target))
            scratch.change(str(FEATURES), changed.alias(contract.target))
        return _judge(scratch, "gate champion")


def _judge(scratch: Scratch, gate: str) -> Alarm | None:
    start = time.time()
    scratch.verb("train")
    alarm = scratch.expect(gate, "not packaged; the served model stays", "evaluate")
    if alarm:
        alarm.seconds = time.time() - start
    return alarm


@fault("decoration: a page that cannot fire", "plan")
def dead_alert(lab: Lab, broken: bool) -> Alarm | None:
    with lab.scratch() as scratch:
        if broken:
            scratch.replace("slo.yaml", f"peak_rps: {config.slo().peak_rps:g}", "peak_rps: 0.01")
        refused = "refused before any rule is written"
        return scratch.expect("cannot fire", refused, "plan")


@fault("two truths: slo.yaml edited, ops/derived not", "plan --check")
def stale_derived(lab: Lab, broken: bool) -> Alarm | None:
    with lab.scratch() as scratch:
        if broken:
            peak = config.slo().peak_rps
            scratch.replace("slo.yaml", f"peak_rps: {peak:g}", f"peak_rps: {peak * 2:g}")
        return scratch.expect("make plan", "the check fails and names the command", "plan", "--check")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
