"""Faults of the world and of what watches it: the service answers, and what it answers is no longer worth it."""

import re
import time
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from .. import config, drift, releases, watch
from ..stages import PROFILE, VALID, load_features, read_json, watched
from .lab import Alarm, Trial, heard, wait_for
from .traffic import SIZES, Traffic


def drifts(until: datetime) -> tuple[dict[str, str], list[str]]:
    """Return where each column moved for which watch raises an alarm, and those that it names in vain."""
    told = {alarm["column"]: alarm["where"] for alarm in watch.watch()["alarms"]}
    moved = _moved(until) if told else set()
    return {name: told[name] for name in told if name in moved}, [name for name in told if name not in moved]


def _moved(until: datetime) -> set[str]:
    """Return the columns that moved by more than nobody cares for, by the rows themselves: those of the windows until
    then in which watch must have seen it.
    """
    (found, _, when), asked, moved = load_features(), config.watch(), set[str]()
    end = min(np.datetime64(until), when.max())
    live = (when <= end) & (when > end - np.timedelta64(timedelta(days=asked.confirm_windows * asked.window_days)))
    for name, array in watched({name: array[live] for name, array in found.items()}).items():
        column = read_json(PROFILE)["columns"][name]
        now = drift.shares(array, column["bins"])
        if drift.distance(np.array(column["shares"]), now, column["bins"]) >= asked.least_shift:
            moved.add(name)
    return moved


def covariate_drift(traffic: Traffic) -> Trial:
    def drifted() -> str:
        """Return what is confirmed, and was not before."""
        alarms = [alarm for alarm in watch.watch()["alarms"] if alarm["column"] not in early]
        return ", ".join(f"{alarm['column']} since {alarm['since'][:10]}" for alarm in alarms)

    # In the first weeks after the training data nothing may be confirmed that did not move.
    moved, false = drifts(traffic.event_time())
    early = {*moved, *false}
    yield Alarm(", ".join(false)) if false else None
    start, whole = time.time(), max(90 / config.watch().window_days, config.watch().confirm_windows + 2)
    season = max(30, traffic.lasts(whole))
    live = traffic.last - config.params().split.evaluate_until
    said = wait_for(drifted, season if live > timedelta(days=90) else 0, pause=3)
    if not said:  # the data's own later part is no other world: plant one
        traffic.planted = _another_world(early)
        said = wait_for(drifted, season, pause=3)
        traffic.planted = {}
    told = heard("DriftConfirmed", start, 30) if said else None
    yield told and Alarm(said, told.seconds, f"{told.said}; its section proposes a retraining")


def concept_drift(traffic: Traffic) -> Trial:
    """Correct the labels of the last windows: the same rows had other outcomes. The inputs are what they were."""

    def alarms(error: bool) -> list[dict[str, str]]:
        """Return all alarms, where each column moved, if the error is among them as asked."""
        now = {alarm["column"]: alarm["where"] for alarm in watch.watch()["alarms"]}
        return [now] if (drift.ERROR in now) == error else []

    early, confirmed = alarms(error=False), config.watch().confirm_windows
    yield None if early else Alarm(drift.ERROR)
    start, answered = time.time(), (confirmed + 1) * config.watch().window_rows * len(SIZES) // sum(SIZES)
    traffic.relabel(answered, flipped=True)
    found = wait_for(lambda: alarms(error=True), max(60, traffic.lasts(confirmed + 2)), pause=3)
    seconds, told = time.time() - start, heard("DriftConfirmed", start, 30 if found else 0)
    # With the right labels the error is quiet again; what else is heard is the world's own, and was no answer to them.
    traffic.relabel(2 * answered, flipped=False)
    back = wait_for(lambda: alarms(error=False), 30, pause=1)
    caught = told and back and found[0].keys() - set().union(*early, *back) == {drift.ERROR}
    yield Alarm(f"{drift.ERROR}, {found[0][drift.ERROR]}", seconds) if caught else None


def _another_world(but: set[str]) -> dict[str, Any]:
    """Return a few other columns' rarer values, within the contract, that all rows are to have."""
    contract, found = config.contract(), dict[str, Any]()
    frame = pl.read_parquet(VALID, columns=list(contract.columns))
    for name, column in [item for item in contract.columns.items() if item[0] not in but][:3]:
        if column.type in ("number", "integer"):
            top = frame[name].quantile(0.95, "nearest")
            found[name] = int(top) if column.type == "integer" and top is not None else top
        elif column.type in ("string", "text", "boolean"):
            found[name] = frame[name].drop_nulls().value_counts(sort=True)[name][-1]
    return found


def late_data(traffic: Traffic) -> Trial:
    """The newest row is as old as the data is, once the clock on the wall counts; or older, if the replay is ahead."""
    yield heard("DataStale")
    start, late = time.time(), timedelta(hours=2 * config.slo().objectives.freshness_hours.target)
    ahead = traffic.event_time() + late
    config.set_params(clock="wall" if ahead < datetime.now() else ahead)
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
