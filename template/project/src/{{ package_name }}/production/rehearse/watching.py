"""Faults of the world and of what watches it: the service answers, and what it answers is no longer worth it."""

import re
import time
from datetime import timedelta
from typing import Any

import polars as pl

from .. import config, releases, watch
from ..drift import ERROR
from ..stages import VALID
from .lab import Alarm, Trial, heard, wait_for
from .traffic import SIZES, Traffic


def covariate_drift(traffic: Traffic) -> Trial:
    def drifted() -> str:
        return ", ".join(f"{alarm['column']} since {alarm['since'][:10]}" for alarm in watch.watch()["alarms"])

    # In the first weeks after the training data nothing may be confirmed.
    said = drifted()
    yield Alarm(said) if said else None
    start, season = time.time(), traffic.lasts(90 / config.watch().window_days)
    said = wait_for(drifted, season if _has_seasons() else 0, pause=3)
    if not said:  # the data's own later part is no other world: plant one
        traffic.planted = _another_world()
        said = wait_for(drifted, season, pause=3)
        traffic.planted = {}
    told = heard("DriftConfirmed", start, 30) if said else None
    yield told and Alarm(said, told.seconds, f"{told.said}; its section proposes a retraining")


def concept_drift(traffic: Traffic) -> Trial:
    """Correct the labels of the last windows: the same rows had other outcomes. The inputs are what they were."""

    def alarms(error: bool) -> list[dict[str, str]]:
        """Return all alarms, where each column moved, if the error is among them as asked."""
        now = {alarm["column"]: alarm["where"] for alarm in watch.watch()["alarms"]}
        return [now] if (ERROR in now) == error else []

    early, confirmed = alarms(error=False), config.watch().confirm_windows
    yield None if early else Alarm(ERROR)
    start, answered = time.time(), (confirmed + 1) * config.watch().window_rows * len(SIZES) // sum(SIZES)
    traffic.relabel(answered, flipped=True)
    found = wait_for(lambda: alarms(error=True), max(60, traffic.lasts(confirmed + 2)), pause=3)
    seconds, told = time.time() - start, heard("DriftConfirmed", start, 30 if found else 0)
    # With the right labels the error is quiet again; what else is heard is the world's own, and was no answer to them.
    traffic.relabel(2 * answered, flipped=False)
    back = wait_for(lambda: alarms(error=False), 30, pause=1)
    caught = told and back and found[0].keys() - set().union(*early, *back) == {ERROR}
    yield Alarm(f"{ERROR}, {found[0][ERROR]}", seconds) if caught else None


def _has_seasons() -> bool:
    """Return whether the live period is long enough for the world to move by itself."""
    split, newest = config.params().split, pl.scan_parquet(VALID).select(pl.col(config.contract().clock).max())
    return bool(config.contract().time) and newest.collect().item() - split.evaluate_until > timedelta(days=90)


def _another_world() -> dict[str, Any]:
    """Return a few columns' rarer values, within the contract, that all rows are to have."""
    contract, found = config.contract(), dict[str, Any]()
    frame = pl.read_parquet(VALID, columns=list(contract.columns))
    for name, column in list(contract.columns.items())[:3]:
        if column.type in ("number", "integer"):
            top = frame[name].quantile(0.95, "nearest")
            found[name] = int(top) if column.type == "integer" and top is not None else top
        elif column.type in ("string", "text", "boolean"):
            found[name] = frame[name].drop_nulls().value_counts(sort=True)[name][-1]
    return found


def late_data(traffic: Traffic) -> Trial:
    """The newest row is as old as the data is, once the clock on the wall counts."""
    yield heard("DataStale")
    start = time.time()
    config.set_params(clock="wall")
    watch.watch()
    alarm = heard("DataStale", start, 30)
    config.set_params(clock="data")
    watch.watch()
    yield alarm


def stale_model(traffic: Traffic) -> Trial:
    """Let the release say that its newest training row is from the last century."""
    # By the time of the data it may be too old already, and rightly told.
    early = watch.watch()["model_age_days"] <= config.slo().objectives.model_age_days.target
    yield heard("ModelStale") if early else None
    path = releases.source(str(releases.stable())) / "model/profile.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'"trained_until": "\d+', '"trained_until": "1999', text), encoding="utf-8")
    watch.watch()
    alarm = heard("ModelStale", within=30)
    path.write_text(text, encoding="utf-8")
    watch.watch()
    yield alarm and alarm._replace(seconds=None)
