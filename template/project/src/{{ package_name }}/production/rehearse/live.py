"""Faults that hit the running stack, under its live traffic.

Each function returns the alarm, None if all is quiet. With `broken=False` nothing is injected: that is the
control, and it must stay quiet.
"""

import contextlib
import json
import re
import secrets
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from .. import capacity, config, releases, stack, watch
from ..drift import ERROR
from ..stages import HISTORY, VALID, read_json
from .lab import Alarm, DoesNotApply, alerts, misfit, post, too_early, wait_for
from .traffic import SIZES, Traffic

PLANTED = f"planted-{secrets.token_hex(8)}"  # a secret; as a value in a request, a personal datum


def covariate_drift(traffic: Traffic, broken: bool) -> Alarm | None:
    start, season = time.time(), traffic.lasts(90 / config.watch().window_days)

    def drifted() -> str:
        return ", ".join(f"{alarm['column']} since {alarm['since'][:10]}" for alarm in watch.watch()["alarms"])

    # The control: in the first weeks after the training data nothing may be confirmed.
    said = wait_for(drifted, (season if _has_seasons() else 0) if broken else 0, pause=3)
    if not broken:
        return Alarm(said) if said else None
    if not said:  # the data's own later part is no other world: plant one
        traffic.planted = _another_world()
        said = wait_for(drifted, season, pause=3)
        traffic.planted = {}
    told = said and wait_for(lambda: alerts(start, "DriftConfirmed"), 30)
    answer = f"alert to {told[0]}; its section proposes a retraining" if told else ""
    return Alarm(said, time.time() - start, answer) if told else None


def concept_drift(traffic: Traffic, broken: bool) -> Alarm | None:
    """Correct the labels of the last windows: the same rows had other outcomes. The inputs are what they were."""
    start = time.time()
    if not broken:
        early = [alarm for alarm in watch.watch()["alarms"] if alarm["column"] == ERROR]
        return Alarm(early[0]["where"]) if early else None
    before, confirmed = {alarm["column"] for alarm in watch.watch()["alarms"]}, config.watch().confirm_windows
    answered = (confirmed + 1) * config.watch().window_rows * len(SIZES) // sum(SIZES)

    def moved() -> dict[str, Any]:
        now = {alarm["column"]: alarm["where"] for alarm in watch.watch()["alarms"]}
        return now if ERROR in now else {}

    traffic.relabel(answered, flipped=True)
    found = wait_for(moved, 60, pause=3)
    seconds = time.time() - start
    told = wait_for(lambda: alerts(start, "DriftConfirmed"), 30 if found else 0)
    traffic.relabel(2 * answered, flipped=False)
    back = wait_for(lambda: not moved(), 30, pause=1)
    if not (told and back) or set(found) - before != {ERROR}:
        return None
    return Alarm(f"{ERROR}, {found[ERROR]}", seconds, "the inputs stayed quiet; gone when the labels were put right")


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
        elif column.type in ("string", "boolean"):
            found[name] = frame[name].drop_nulls().value_counts(sort=True)[name][-1]
    return found


def garbage_requests(traffic: Traffic, broken: bool) -> Alarm | None:
    start = time.time()
    good = read_json(releases.source(str(releases.stable())) / "model/golden.json")["rows"][0]
    if not broken:
        status, said = post(good)
        return Alarm(said) if status != 200 else None
    column, wrong, much = misfit()
    without = {name: value for name, value in good.items() if name != column}
    bodies: list[tuple[Any, str]] = [  # and the field that the refusal must name
        (b'{"a": ', ""),
        (b"[]", ""),
        (good | {column: float("nan")}, ""),
        (good | {column: wrong}, column),
        (good | {column: much}, column),
        (good | {column: []}, column),
        (good | {"unheard_of": 1}, "unheard_of"),
        (without, column),
        ([without, without], column),
        (b" " * (50 << 20), ""),
    ]
    answers = [(*post(body), name) for body, name in bodies]
    if not all(400 <= status < 500 and name in said for status, said, name in answers):
        return None
    said = f"{len(bodies)} of {len(bodies)} bodies refused with 4xx, the field named where there is one"
    return Alarm(said, time.time() - start, "the model never saw them; no 5xx")


def poison_item(traffic: Traffic, broken: bool) -> Alarm | None:
    start, golden = time.time(), read_json(releases.source(str(releases.stable())) / "model/golden.json")
    (first, second, third), (column, _, much) = golden["rows"][:3], misfit()
    status, said = post([first, second | ({column: much} if broken else {}), third])
    told = json.loads(said).get("predictions", [])
    right = [number for number, answer in enumerate(told) if answer == golden["answers"][number]]
    if not broken:
        return None if (status, right) == (200, [0, 1, 2]) else Alarm(said)
    alone = (status, right) == (200, [0, 2]) and column in told[1].get("error", "")
    return (
        Alarm(told[1]["error"], time.time() - start, "its neighbours have the answers they always had")
        if alone
        else None
    )


def killed_worker(traffic: Traffic, broken: bool) -> Alarm | None:
    start, serving = time.time(), stack.serving_slot()
    before = set(stack.workers(serving))
    if broken:
        psutil.Process(min(before)).kill()
    born = wait_for(lambda: set(stack.workers(serving)) - before, 20 if broken else 3)
    seconds = time.time() - start
    time.sleep(2)
    kinds = [s.kind for s in traffic.since(start)]
    lost, allowed = kinds.count("failed"), len(kinds) * (1 - config.slo().objectives.availability_percent.target / 100)
    if not born or lost > allowed:
        return None
    answer = f"{lost} of {len(kinds)} requests lost; the budget allows {allowed:.1f}"
    return Alarm(f"worker {min(before)} was replaced by {min(born)}", seconds, answer)


def dependency_down(traffic: Traffic, broken: bool) -> Alarm | None:
    """Take the store of history away until someone is told."""
    start = time.time()
    if not config.contract().history:
        raise DoesNotApply("the service asks nothing but its model: contract.yaml has no history")
    if not broken:
        return too_early("HistoryMissing")
    row = read_json(releases.source(str(releases.stable())) / "model/golden.json")["rows"][0]
    store = HISTORY.resolve()
    HISTORY.unlink()  # a link of the bench
    try:
        told = wait_for(lambda: alerts(start, "HistoryMissing"), 30)
        seconds, marked = time.time() - start, "degraded" in post(row)[1]
    finally:
        HISTORY.symlink_to(store)
    back = wait_for(lambda: "degraded" not in post(row)[1], 10)
    failed = [s for s in traffic.since(start) if s.kind == "failed"]
    if not (told and marked and back) or failed:
        return None
    return Alarm(f"alert to {told[0]}", seconds, "answers went on, marked degraded; whole again by themselves")


def log_disk_full(traffic: Traffic, broken: bool) -> Alarm | None:
    """Let no worker write to a file any more."""
    start = time.time()
    if not broken:
        return too_early("PredictionLogDropping")
    limits = {p: p.rlimit(psutil.RLIMIT_FSIZE) for p in map(psutil.Process, stack.workers(stack.serving_slot()))}
    for process, (_, hard) in limits.items():
        process.rlimit(psutil.RLIMIT_FSIZE, (0, hard))
    told = wait_for(lambda: alerts(start, "PredictionLogDropping"), 30)
    seconds = time.time() - start
    for process, limit in limits.items():
        process.rlimit(psutil.RLIMIT_FSIZE, limit)
    over = time.time()
    back = wait_for(lambda: watch.read_log(config.contract())[1]["at"].max() > over, 10, pause=1)  # type: ignore[operator]
    failed = [s for s in traffic.since(start) if s.kind == "failed"]
    if not (told and back) or failed:
        return None
    return Alarm(
        f"alert to {told[0]}", seconds, "answers went on, what was lost was counted; the log goes on by itself"
    )


def leaked_secret(traffic: Traffic, broken: bool) -> Alarm | None:
    """Look for a credential, which each process has in its environment, and for a datum that came with requests."""
    start = time.time()
    if not _holding(str(releases.stable())):
        return None  # the search is blind
    if broken:
        row, column = read_json(releases.source(str(releases.stable())) / "model/golden.json")["rows"][0], misfit()[0]
        for body in (
            row | {"e-mail": PLANTED},
            row | {column: 9 * PLANTED},
            [row, row | {PLANTED: 1}],
            PLANTED.encode(),
        ):
            post(body)
        post({"request_id": "r0", "label": PLANTED}, "/feedback")
    found = _holding(PLANTED)
    if not broken:
        return Alarm(f"found in {found[0]}") if found else None
    said = "found nowhere: not in the logs, the prediction log, the metrics, the releases"
    return None if found else Alarm(said, time.time() - start, "refused requests leave no trace of what they held")


def _holding(text: str) -> list[Path]:
    """Return the files of the running stack and of the releases that hold a text."""
    files = [path for folder in ("run", "releases", "reports") for path in Path(folder).rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in _bytes(path)]


def _bytes(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):  # Prometheus has just tidied up
        return pl.read_parquet(path).write_ndjson().encode() if path.suffix == ".parquet" else path.read_bytes()
    return b""


def late_data(traffic: Traffic, broken: bool) -> Alarm | None:
    """The newest row is as old as the data is, once the clock on the wall counts."""
    start = time.time()
    if not config.contract().time:
        raise DoesNotApply("rows without a time are as new as their request")
    if not broken:
        return too_early("DataStale")
    config.set_params(clock="wall")
    watch.watch()
    told = wait_for(lambda: alerts(start, "DataStale"), 30)
    seconds = time.time() - start
    config.set_params(clock="data")
    watch.watch()
    return Alarm(f"alert to {told[0]}", seconds, "its section says whom to ask; answers go on") if told else None


def stale_model(traffic: Traffic, broken: bool) -> Alarm | None:
    """Let the release say that its newest training row is from the last century."""
    start, path = time.time(), releases.source(str(releases.stable())) / "model/profile.json"
    if not config.contract().time:
        raise DoesNotApply("the age of rows without a time is unknown")
    if not broken:  # by the time of the data it may be too old already, and rightly told
        early = watch.watch()["model_age_days"] <= config.slo().objectives.model_age_days.target
        return too_early("ModelStale") if early else None
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'"trained_until": "\d+', '"trained_until": "1999', text), encoding="utf-8")
    watch.watch()
    told = wait_for(lambda: alerts(0, "ModelStale"), 30)
    path.write_text(text, encoding="utf-8")
    watch.watch()
    return Alarm(f"alert to {told[0]}", time.time() - start, "its section asks for a retraining") if told else None


def outage(traffic: Traffic, broken: bool) -> Alarm | None:
    start = time.time()
    if not broken:
        early = [alert for alert in alerts(0, severity="page") if "Quality" not in alert]
        return Alarm(early[0]) if early else None
    for slot in ("blue", "green"):
        stack.stop_slot(slot)
    pages = wait_for(lambda: alerts(start, severity="page"), 90)
    seconds = time.time() - start
    stack.up()
    back = "calm" if wait_for(traffic.calm, 30) else "no"
    return Alarm(f"page to {pages[0]}", seconds, f"`make up` brought it back: {back}") if pages else None


def spike(traffic: Traffic, broken: bool) -> Alarm | None:
    start, promise = time.time(), config.slo().objectives.latency_p99_ms.target
    # The replay brings one peak already; the control stays within what is planned.
    capacity.run(3 if broken else 0.3, "10s")
    end, sent = time.time(), traffic.since(start)
    shed = sum(s.status in (429, 503) for s in sent)
    p99 = 1000 * np.percentile([s.seconds for s in sent if s.status == 200], 99)
    if not (shed and p99 <= promise and wait_for(traffic.calm, 10)):
        return None
    answer = f"served p99 {p99:.0f} ms, {promise:g} promised; calm {time.time() - end:.1f} s after"
    return Alarm(f"{shed} of the replay's requests shed with 429 or 503", end - start, answer)
