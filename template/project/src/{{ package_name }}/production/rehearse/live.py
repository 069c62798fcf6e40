"""Faults that hit the running stack, under its live traffic.

Each function returns the alarm, None if all is quiet. With `broken=False` nothing is injected: that is the
control, and it must stay quiet.
"""

import contextlib
import http.client
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from .. import budget, capacity, config, release, releases, stack, watch
from ..stages import VALID, read_json
from .lab import PACKAGE, Alarm, DoesNotApply, misfit, refusal, scratch, set_param, wait_for
from .traffic import SIZES, Traffic

ALERTS = Path("run/alerts.jsonl")
BUG = """
import os, random, time
right = features
def features(columns):
    {}
    return right(columns)
"""


def covariate_drift(traffic: Traffic, broken: bool) -> Alarm | None:
    start, params = time.time(), config.params().watch
    season = 90 / params.window_days * params.window_rows / (sum(SIZES) / len(SIZES) * traffic.rate)

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
        status, said = _post(good)
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
    answers = [(*_post(body), name) for body, name in bodies]
    if not all(400 <= status < 500 and name in said for status, said, name in answers):
        return None
    said = f"{len(bodies)} of {len(bodies)} bodies refused with 4xx, the field named where there is one"
    return Alarm(said, time.time() - start, "the model never saw them; no 5xx")


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


def late_data(traffic: Traffic, broken: bool) -> Alarm | None:
    """The newest row is as old as the data is, once the clock on the wall counts."""
    start = time.time()
    if not config.contract().time:
        raise DoesNotApply("rows without a time are as new as their request")
    if not broken:
        early = alerts(0, "DataStale")
        return Alarm(early[0]) if early else None
    set_param("clock", "wall")
    watch.watch()
    told = wait_for(lambda: alerts(start, "DataStale"), 30)
    seconds = time.time() - start
    set_param("clock", "data")
    watch.watch()
    return Alarm(f"alert to {told[0]}", seconds, "its section says whom to ask; answers go on") if told else None


def outage(traffic: Traffic, broken: bool) -> Alarm | None:
    start = time.time()
    if not broken:
        early = alerts(traffic.sent[0].at, severity="page")
        return Alarm(early[0]) if early else None
    for slot in ("blue", "green"):
        stack.stop_slot(slot)
    pages = wait_for(lambda: alerts(start, severity="page"), 90)
    seconds = time.time() - start
    stack.up()
    back = "calm" if wait_for(lambda: _calm(traffic), 30) else "no"
    return Alarm(f"page to {pages[0]}", seconds, f"`make up` brought it back: {back}") if pages else None


def budget_spent(traffic: Traffic, broken: bool) -> Alarm | None:
    """Count as if so little may fail that a moment's outage spends it all: the next release must wait."""
    policy = release.POLICY.read_text(encoding="utf-8")
    if not broken:
        share = budget.left()
        return Alarm(f"{share} left") if share is None or share <= 0 else None
    candidate, start = _package("# a release too many\n"), time.time()
    stack.stop_slot(stack.serving_slot())
    wait_for(lambda: "failed" in [s.kind for s in traffic.since(start)], 10)
    stack.up()
    release.POLICY.write_text(re.sub(r"/ \([\d.e-]+ ", "/ (1e-6 ", policy), encoding="utf-8")
    try:
        wait_for(lambda: (budget.left() or 0) < 0, 30)
        release.promote(candidate)
    except config.Problem as problem:
        return Alarm(str(problem).split(";")[0], time.time() - start, "no traffic moved; the ledger can let it pass")
    finally:
        release.POLICY.write_text(policy, encoding="utf-8")
    return None


def rollback_twice(traffic: Traffic, broken: bool) -> Alarm | None:
    if not broken:
        return _promote_good()
    start = time.time()
    with ThreadPoolExecutor() as pool:
        for _ in range(2):
            pool.submit(release.rollback)
    events = [e for e in releases.ledger() if e["event"] == "rolled back" and e["at"] >= start]
    if len(events) != 1 or events[0]["seconds"] > config.slo().objectives.rollback_seconds.target:
        return None
    said = f"two calls, one rollback to {releases.stable()} in {events[0]['seconds']:.2f} s"
    failed = sum(s.kind == "failed" for s in traffic.since(start))
    answer = f"the second found nothing to undo; {failed} requests failed"
    return Alarm(said, time.time() - start, answer)


def slow_release(traffic: Traffic, broken: bool) -> Alarm | None:
    seconds = config.slo().objectives.latency_p99_ms.target / 1000 * 1.5
    return _candidate(broken, f"time.sleep({seconds})", "slow answers")


def failing_release(traffic: Traffic, broken: bool) -> Alarm | None:
    # One live request in five fails; packaging, and the golden rows, a larger batch, pass.
    some = "'RUN_DIR' in os.environ and len(columns[next(iter(columns))]) < 40 and random.random() < 0.2"
    return _candidate(broken, f"assert not ({some}), 'a bug'", "errors")


def spike(traffic: Traffic, broken: bool) -> Alarm | None:
    start, promise = time.time(), config.slo().objectives.latency_p99_ms.target
    # The replay brings one peak already; the control stays within what is planned.
    capacity.run(3 if broken else 0.3, "10s")
    end, sent = time.time(), traffic.since(start)
    shed = sum(s.status in (429, 503) for s in sent)
    p99 = 1000 * np.percentile([s.seconds for s in sent if s.status == 200], 99)
    if not (shed and p99 <= promise and wait_for(lambda: _calm(traffic), 10)):
        return None
    answer = f"served p99 {p99:.0f} ms, {promise:g} promised; calm {time.time() - end:.1f} s after"
    return Alarm(f"{shed} of the replay's requests shed with 429 or 503", end - start, answer)


def alerts(since: float, name: str = "", severity: str = "") -> list[str]:
    """Return who was told what since a moment, as the monitor wrote it down when it reached the webhook."""
    lines = ALERTS.read_text(encoding="utf-8").splitlines() if ALERTS.exists() else []
    fired = [a for a in map(json.loads, lines) if a["received"] >= since and a["status"] == "firing"]
    found = [a for a in fired if name in a["alertname"] and severity in a["severity"]]
    return [f"{a['owner']} ({a['alertname']}, {a['runbook']})" for a in found]


def _candidate(broken: bool, bug: str, expected: str) -> Alarm | None:
    """Package a copy of the repo with a bug in features.py, and let the promotion find it."""
    if not broken:  # a good candidate goes all the way: the promotion that rollback-twice undoes
        return _promote_good()
    bad, start = _package(BUG.format(bug)), time.time()
    with contextlib.suppress(config.Problem):
        release.promote(bad)
        return None
    event = releases.ledger()[-1]
    moved = f"traffic was back in {event['seconds'] * 1000:.0f} ms; {releases.stable()} serves"
    return Alarm(event["reason"], time.time() - start, moved) if expected in event["reason"] else None


def _promote_good() -> Alarm | None:
    """Promote a release that differs by a comment alone, once for all who ask; to refuse it is a false alarm."""
    if any(event["event"] == "promoted" for event in releases.ledger()):
        return None
    try:
        release.promote(_package("# another commit\n"))
    except config.Problem as problem:
        return Alarm(str(problem))
    return None


def _package(text: str) -> str:
    with scratch() as root:
        with (root / f"src/{PACKAGE}/features.py").open("a", encoding="utf-8") as file:
            file.write("\n\n" + text)
        if refused := refusal(root, "package"):
            raise config.Problem(refused)
        return str(read_json(root / "reports/package.json")["release"])


def _calm(traffic: Traffic) -> bool:
    """Return whether every request of the last second was answered."""
    sent = traffic.since(time.time() - 1)
    return bool(sent) and all(s.status == 200 for s in sent)


def _post(body: Any) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stack.port("proxy"), timeout=10)) as connection:
        # Who refuses a large body may close before all of it was sent; the answer is there still.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/predict", data)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
