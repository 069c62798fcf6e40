"""Faults that hit the running stack, under its live traffic."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from .. import config, release, releases, stack, watch
from ..stages import read_json
from .lab import PACKAGE, Alarm, Lab, Scratch, fault, wait_for
from .traffic import SIZES

ALERTS = Path("run/alerts.jsonl")
BUG = """
import random
import time

right = features


def features(columns):
    {bug}
    return right(columns)
"""


@fault("the world moves: the data's own later season", "watch", live=True)
def covariate_drift(lab: Lab, broken: bool) -> Alarm | None:
    if not broken:
        # The control is the first month after the training data: nothing may be confirmed.
        noise = "; ".join(lab.kept["quiet"])
        return Alarm(noise, 0, "") if noise else None
    start = time.time()
    months = 3 * 30 * 86400 / (config.params().watch.window_days * 86400)
    patience = months * config.params().watch.window_rows / (sum(SIZES) / len(SIZES) * lab.traffic.rate)

    def alarmed() -> str | None:
        time.sleep(3)
        found = watch.watch()["alarms"]
        return ", ".join(f"{a['column']} since {a['since'][:10]}" for a in found) or None

    if not (said := wait_for(alarmed, patience + 30)):
        return None
    page = wait_for(lambda: alert_like("DriftConfirmed", start), 30)
    answer = f"alert to {page}; retraining is proposed in the runbook" if page else "no alert came"
    return Alarm(said, time.time() - start, answer)


@fault("unexpected input", "service", live=True)
def garbage_requests(lab: Lab, broken: bool) -> Alarm | None:
    contract = config.contract()
    golden = read_json(releases.source(str(releases.stable())) / "model/golden.json")["rows"]
    good, column = golden[0], next(iter(contract.columns))
    number = next(n for n, c in contract.columns.items() if c.type in ("number", "integer"))
    without = {name: value for name, value in good.items() if name != column}
    bodies: list[tuple[Any, str]] = [
        (b"{" + b'"a": ', ""),
        (b"[]", ""),
        (json.dumps(good | {number: float("nan")}).encode(), ""),
        (good | {number: "far"}, number),
        (good | {number: True}, number),
        (good | {"unheard_of": 1}, "unheard_of"),
        (without, column),
        ([good, without], column),
        (b" " * (50 << 20), ""),
    ]
    start = time.time()
    if not broken:
        status, said = _post(lab, good)
        return None if status == 200 else Alarm(said, 0, "")
    refused = 0
    for body, name in bodies:
        status, said = _post(lab, body)
        if not 400 <= status < 500 or name not in said:
            return None
        refused += 1
    said = f"{refused} of {len(bodies)} bodies refused with 4xx, the field named where there is one"
    return Alarm(said, time.time() - start, "the model never saw them; no 5xx")


@fault("traffic: three times the planned peak", "proxy", live=True)
def spike(lab: Lab, broken: bool) -> Alarm | None:
    start = time.time()
    # The replay brings one peak already; the control stays within what is planned.
    factor, promise = ("3" if broken else "0.3"), config.slo().objectives.latency.p99_ms
    done = subprocess.run(
        ["k6", "run", "--quiet", "ops/derived/load.js"],
        env=os.environ | {"RATE_FACTOR": factor, "DURATION": "10s"},
        capture_output=True,
        text=True,
        check=False,
    )
    end = time.time()
    if done.returncode not in (0, 99):  # 99: a threshold was crossed, and that is our business
        raise config.Problem(f"k6: {done.stderr[-300:]}")
    shed = sum(s.status in (429, 503) for s in lab.traffic.since(start))
    if not shed:
        return None
    served = sorted(s.seconds for s in lab.traffic.since(start) if s.status == 200)
    p99 = 1000 * served[int(len(served) * 0.99)]
    recovered = wait_for(lambda: _calm(lab, 2.0), 10)
    if p99 > promise or not recovered:
        return None
    answer = f"served p99 {p99:.0f} ms of {promise:g} promised; calm {time.time() - end:.1f} s after"
    return Alarm(f"{shed} of our own requests shed with 429 or 503", end - start, answer)


@fault("infrastructure: kill -9 of a serving process", "proxy, supervisor", live=True)
def killed_worker(lab: Lab, broken: bool) -> Alarm | None:
    start, serving = time.time(), str(stack.slots()["stable"])
    workers = stack.workers(serving)
    if broken:
        psutil.Process(workers[0]).kill()
    wait_for(lambda: "new" if set(stack.workers(serving)) - set(workers) else None, 20 if broken else 3)
    new = set(stack.workers(serving)) - set(workers)
    time.sleep(2)
    sent = lab.traffic.since(start)
    lost = sum(s.status == 0 or s.status >= 500 for s in sent)
    allowed = 1 - config.slo().objectives.availability.percent / 100
    if not new or lost > allowed * len(sent):
        return None
    answer = f"{lost} of {len(sent)} requests lost; the budget allows {allowed * len(sent):.1f}"
    return Alarm(f"worker {workers[0]} was replaced by {new.pop()}", time.time() - start, answer)


@fault("a candidate that adds latency", "canary analysis", live=True)
def slow_release(lab: Lab, broken: bool) -> Alarm | None:
    seconds = config.slo().objectives.latency.p99_ms / 1000 * 1.5
    return _candidate(lab, broken, f"time.sleep({seconds})", "slow answers")


@fault("a candidate that answers 500 to some", "canary analysis", live=True)
def failing_release(lab: Lab, broken: bool) -> Alarm | None:
    # Some live requests fail; the golden rows, a larger batch, pass.
    some = "len(columns[next(iter(columns))]) < 40 and random.random() < 0.2"
    return _candidate(lab, broken, f"assert not ({some}), 'a bug'", "errors")


@fault("panic: rollback twice", "release", live=True)
def rollback_twice(lab: Lab, broken: bool) -> Alarm | None:
    before = releases.stable()
    if not broken:
        return None if _promote_good(lab) == releases.stable() else Alarm("not promoted", 0, "")
    start = time.time()
    calls = [threading.Thread(target=_quietly, args=(release.rollback,)) for _ in range(2)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    events = [e for e in releases.ledger() if e["event"] == "rolled back" and e["at"] >= start]
    if len(events) != 1 or releases.stable() == before:
        return None
    failed = sum(s.status == 0 or s.status >= 500 for s in lab.traffic.since(start))
    said = f"two calls, one rollback to {releases.stable()} in {events[0]['seconds']:.2f} s"
    return Alarm(said, time.time() - start, f"the second found nothing to undo; {failed} failed")


@fault("nobody noticed: the service answers errors", "Prometheus rules, Alertmanager", live=True)
def outage(lab: Lab, broken: bool) -> Alarm | None:
    start = time.time()
    if not broken:
        early = alert_like("", 0, severity="page")
        return Alarm(early, 0, "") if early else None
    for slot in ("blue", "green"):
        stack.kill_slot(slot)
    page = wait_for(lambda: alert_like("", start, severity="page"), 90)
    seconds = time.time() - start
    stack.up()
    if not page:
        return None
    back = wait_for(lambda: _calm(lab, 1.0), 30)
    return Alarm(f"page to {page}", seconds, f"`make up` brought it back: {back or 'not yet'}")


def _candidate(lab: Lab, broken: bool, bug: str, expected: str) -> Alarm | None:
    """Package a copy of the repo with a bug in features.py, and let the promotion find it."""
    if not broken:
        # The control of both is the good promotion, which rollback-twice needs anyway.
        return None if _promote_good(lab) else Alarm("a good release was refused", 0, "")
    with lab.scratch("model", "data/raw.parquet", "data/valid.parquet") as scratch:
        _append(scratch, BUG.format(bug=bug))
        bad = _package(scratch)
    start = time.time()
    try:
        release.promote(bad)
    except config.Problem as problem:
        event = releases.ledger()[-1]
        moved = f"traffic was back in {event['seconds'] * 1000:.0f} ms; {releases.stable()} serves"
        if expected in str(problem):
            return Alarm(event["reason"], time.time() - start, moved)
    return None


def _promote_good(lab: Lab) -> str:
    """Promote a release that differs by its seed alone; once for all who ask."""
    if "good" not in lab.kept:
        with lab.scratch("model", "data/raw.parquet", "data/valid.parquet") as scratch:
            _append(scratch, "# another commit\n")
            good = _package(scratch)
        release.promote(good)
        lab.kept["good"] = good
    return str(lab.kept["good"])


def _append(scratch: Scratch, text: str) -> None:
    with (scratch.root / f"src/{PACKAGE.name}/features.py").open("a", encoding="utf-8") as file:
        file.write("\n\n" + text)


def _package(scratch: Scratch) -> str:
    refused, said = scratch.verb("package")
    if refused:
        raise config.Problem(said)
    return str(read_json(scratch.root / "reports/package.json")["release"])


def _quietly(call: Any) -> None:
    try:
        call()
    except config.Problem as problem:
        print(problem, file=sys.stderr)


def _calm(lab: Lab, seconds: float) -> str | None:
    """Return a word when every request of the last seconds was answered."""
    sent = [s for s in lab.traffic.since(time.time() - seconds - 0.5)]
    return "calm" if sent and all(s.status == 200 for s in sent) else None


def alerts(since: float) -> list[dict[str, Any]]:
    lines = ALERTS.read_text(encoding="utf-8").splitlines() if ALERTS.exists() else []
    found = [json.loads(line) for line in lines]
    return [a for a in found if a["received"] >= since and a["status"] == "firing"]


def alert_like(name: str, since: float, severity: str = "") -> str | None:
    for alert in alerts(since):
        if name in alert["name"] and severity in alert["severity"]:
            return f"{alert['owner']} ({alert['name']}, {alert['runbook']})"
    return None


def _post(lab: Lab, body: Any) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(lab.traffic.url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Length", str(len(data)))
        connection.endheaders()
        # Who refuses a large body may close before all of it was sent: the answer is there still.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(data)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
