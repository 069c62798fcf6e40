"""Faults that the pipeline and the planner must stop before anything is served."""

import shutil
import time

import polars as pl

from ... import ingest as yours_ingest
from .. import config, releases
from ..stages import FEATURES, RAW, VALID
from .lab import Alarm, Lab, Scratch, fault

STOPS = "the pipeline stops before training; the served model stays"


@fault("upstream changes its schema", "validate")
def missing_column(lab: Lab, broken: bool) -> Alarm | None:
    column = list(config.contract().columns)[-1]
    with lab.scratch(RAW) as scratch:
        if broken:
            pl.read_parquet(RAW).drop(column).write_parquet(scratch.root / RAW)
        return scratch.expect(f"column {column} is missing", STOPS, "validate")


@fault("messy upstream: a unit changes", "validate")
def unit_error(lab: Lab, broken: bool) -> Alarm | None:
    columns = config.contract().columns
    column = [name for name, c in columns.items() if c.type in ("number", "integer") and c.max and not c.nulls][-1]
    with lab.scratch(RAW) as scratch:
        if broken:
            scratch.change(RAW, pl.col(column) * 1000)
        return scratch.expect(f"{column}|max", f"rows in quarantine under the rule's name; {STOPS}", "validate")


@fault("incomplete data", "validate")
def null_burst(lab: Lab, broken: bool) -> Alarm | None:
    column = next(name for name, c in config.contract().columns.items() if 0 < c.nulls < 0.4)
    with lab.scratch(RAW) as scratch:
        if broken:
            scratch.change(RAW, pl.when(pl.int_range(pl.len()) % 5 > 1).then(pl.col(column)).alias(column))
        return scratch.expect(f"of {column} is missing", STOPS, "validate")


@fault("unstable pipeline: a torn file", "ingest")
def torn_file(lab: Lab, broken: bool) -> Alarm | None:
    with lab.scratch(RAW) as scratch:
        source, before = scratch.root / "source", releases.digest(scratch.root / RAW)
        source.mkdir()
        for path in yours_ingest.files(config.params().source):
            shutil.copy(path, source)
        if broken:
            largest = max(source.iterdir(), key=lambda path: path.stat().st_size)
            largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
        intact = "the earlier data is intact, byte for byte"
        alarm = scratch.expect(f"{RAW} is as it was", intact, "ingest", "--source", str(source))
        return alarm if releases.digest(scratch.root / RAW) == before else None


@fault("demo numbers too good: the target among the features", "evaluate: leakage gate")
def label_leak(lab: Lab, broken: bool) -> Alarm | None:
    with lab.scratch(FEATURES, VALID) as scratch:
        if broken:
            leak = pl.col(config.contract().target).cast(pl.Float64)
            scratch.change(FEATURES, leak.alias("feature:leaked"))
        return _judge(scratch, "gate leakage: leaked")


@fault("retraining as a ritual: a candidate below the champion", "evaluate: champion gate")
def worse_candidate(lab: Lab, broken: bool) -> Alarm | None:
    contract, split = config.contract(), config.params().split
    with lab.scratch(FEATURES, VALID) as scratch:
        if broken:
            # Three of four training labels belong to some other row.
            mixed = (pl.col(contract.time) < split.train_until) & (pl.int_range(pl.len()) % 4 > 0)
            label = pl.col(contract.target)
            scratch.change(FEATURES, pl.when(mixed).then(label.shuffle(seed=1)).otherwise(label).alias(contract.target))
        return _judge(scratch, "gate champion")


def _judge(scratch: Scratch, gate: str) -> Alarm | None:
    start = time.time()
    scratch.verb("train")
    if alarm := scratch.expect(gate, "not packaged; the served model stays", "evaluate"):
        alarm.seconds = time.time() - start
    return alarm


@fault("decoration: a page that cannot fire", "plan")
def dead_alert(lab: Lab, broken: bool) -> Alarm | None:
    with lab.scratch() as scratch:
        if broken:
            scratch.promise("peak_rps", 0.01)
        return scratch.expect("cannot fire", "refused before any rule is written", "plan")


@fault("two truths: slo.yaml edited, ops/derived not", "plan --check")
def stale_derived(lab: Lab, broken: bool) -> Alarm | None:
    with lab.scratch() as scratch:
        if broken:
            scratch.promise("peak_rps", config.slo().peak_rps * 2)
        return scratch.expect("make plan", "the check fails and names the command", "plan", "--check")
