"""Faults that hit the running stack, under its live traffic."""

import contextlib
import http.client
import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from .. import config, release, releases, stack, watch
from ..stages import RAW, VALID, read_json
from .lab import PACKAGE, Alarm, Lab, fault, wait_for
from .traffic import SIZES

ALERTS = Path("run/alerts.jsonl")
BUG = """
import random
import time

right = features


def features(columns):
    {}
    return right(columns)
"""


@fault("the world moves: the data's own later season", "watch", live=True)
def covariate_drift(lab: Lab, broken: bool) -> Alarm | None:
    if not broken:  # the first month after the training data: nothing may be confirmed
        noise = "; ".join(lab.kept["quiet"])
        return Alarm(noise) if noise else None
    start, params = time.time(), config.params().watch
    season = 90 / params.window_days * params.window_rows / (sum(SIZES) / len(SIZES) * lab.traffic.rate)

    def alarmed() -> str | None:
        time.sleep(3)
        found = [f"{a['column']} since {a['since'][:10]}" for a in watch.watch()["alarms"]]
        return ", ".join(found) or None

    said = wait_for(alarmed, season)
    told = said and wait_for(lambda: alert_like("DriftConfirmed", start), 30)
    if not said or not told:
        return None
    return Alarm(said, time.time() - start, f"alert to {told}; its section proposes a retraining")


@fault("unexpected input", "service", live=True)
def garbage_requests(lab: Lab, broken: bool) -> Alarm | None:
    columns, start = config.contract().columns, time.time()
    good = read_json(releases.source(str(releases.stable())) / "model/golden.json")["rows"][0]
    number = next(name for name, c in columns.items() if c.type in ("number", "integer"))
    without = {name: value for name, value in good.items() if name != number}
    if not broken:
        status, said = _post(lab, good)
        return Alarm(said) if status != 200 else None
    bodies: list[tuple[Any, str]] = [
        (b'{"a": ', ""),
        (b"[]", ""),
        (json.dumps(good | {number: float("nan")}).encode(), ""),
        (good | {number: "far"}, number),
        (good | {number: True}, number),
        (good | {"unheard_of": 1}, "unheard_of"),
        (without, number),
        ([good, without], number),
        (b" " * (50 << 20), ""),
    ]
    answers = [(*_post(lab, body), name) for body, name in bodies]
    if not all(400 <= status < 500 and name in said for status, said, name in answers):
        return None
    said = f"{len(bodies)} of {len(bodies)} bodies refused with 4xx, the field named where there is one"
    return Alarm(said, time.time() - start, "the model never saw them; no 5xx")


@fault("traffic: three times the planned peak", "proxy", live=True)
def spike(lab: Lab, broken: bool) -> Alarm | None:
    start, promise = time.time(), config.slo().objectives.latency_p99_ms.target
    # The replay brings one peak already; the control stays within what is planned.
    extra = {"RATE_FACTOR": "3" if broken else "0.3", "DURATION": "10s"}
    command = ["k6", "run", "--quiet", "ops/derived/load.js"]
    done = subprocess.run(command, env=os.environ | extra, capture_output=True, text=True)
    end = time.time()
    if done.returncode not in (0, 99):  # 99: a threshold was crossed, which is for us to judge
        raise config.Problem(f"k6: {done.stderr[-300:]}")
    sent = lab.traffic.since(start)
    shed = sum(s.status in (429, 503) for s in sent)
    served = sorted(s.seconds for s in sent if s.status == 200)
    p99 = 1000 * served[int(len(served) * 0.99)]
    if not shed or p99 > promise or not wait_for(lambda: _calm(lab, 1.0), 10):
        return None
    answer = f"served p99 {p99:.0f} ms, {promise:g} promised; calm {time.time() - end:.1f} s after"
    return Alarm(f"{shed} of the replay's requests shed with 429 or 503", end - start, answer)


@fault("infrastructure: kill -9 of a serving process", "proxy, supervisor", live=True)
def killed_worker(lab: Lab, broken: bool) -> Alarm | None:
    start, serving = time.time(), stack.serving_slot()
    before = set(stack.workers(serving))
    if broken:
        psutil.Process(min(before)).kill()
    born = wait_for(lambda: " ".join(map(str, set(stack.workers(serving)) - before)), 20 if broken else 3)
    seconds = time.time() - start
    time.sleep(2)
    sent = lab.traffic.since(start)
    lost = sum(s.status == 0 or s.status >= 500 for s in sent)
    allowed = len(sent) * (1 - config.slo().objectives.availability_percent.target / 100)
    if not born or lost > allowed:
        return None
    answer = f"{lost} of {len(sent)} requests lost; the budget allows {allowed:.1f}"
    return Alarm(f"worker {min(before)} was replaced by {born}", seconds, answer)


@fault("a candidate that adds latency", "canary analysis", live=True)
def slow_release(lab: Lab, broken: bool) -> Alarm | None:
    seconds = config.slo().objectives.latency_p99_ms.target / 1000 * 1.5
    return _candidate(lab, broken, f"time.sleep({seconds})", "slow answers")


@fault("a candidate that answers 500 to some", "canary analysis", live=True)
def failing_release(lab: Lab, broken: bool) -> Alarm | None:
    # One live request in five fails; the golden rows, a larger batch, pass.
    some = "len(columns[next(iter(columns))]) < 40 and random.random() < 0.2"
    return _candidate(lab, broken, f"assert not ({some}), 'a bug'", "errors")


@fault("panic: rollback twice", "release", live=True)
def rollback_twice(lab: Lab, broken: bool) -> Alarm | None:
    if not broken:
        return Alarm(f"{releases.stable()} serves") if _promote_good(lab) != releases.stable() else None
    start = time.time()
    calls = [threading.Thread(target=release.rollback) for _ in range(2)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    events = [e for e in releases.ledger() if e["event"] == "rolled back" and e["at"] >= start]
    if len(events) != 1 or events[0]["seconds"] > config.slo().objectives.rollback_seconds.target:
        return None
    failed = sum(s.status == 0 or s.status >= 500 for s in lab.traffic.since(start))
    said = f"two calls, one rollback to {releases.stable()} in {events[0]['seconds']:.2f} s"
    return Alarm(said, time.time() - start, f"the second found nothing to undo; {failed} requests failed")


@fault("nobody noticed: the service answers errors", "Prometheus rules, Alertmanager", live=True)
def outage(lab: Lab, broken: bool) -> Alarm | None:
    start = time.time()
    if not broken:
        early = alert_like("", 0, "page")
        return Alarm(early) if early else None
    for slot in ("blue", "green"):
        stack.stop_slot(slot)
    page = wait_for(lambda: alert_like("", start, "page"), 90)
    seconds = time.time() - start
    stack.up()
    back = wait_for(lambda: _calm(lab, 1.0), 30)
    return Alarm(f"page to {page}", seconds, f"`make up` brought it back: {back or 'no'}") if page else None


def _candidate(lab: Lab, broken: bool, bug: str, expected: str) -> Alarm | None:
    """Package a copy of the repo with a bug in features.py, and let the promotion find it."""
    if not broken:  # a good candidate goes all the way: the promotion that rollback-twice undoes
        return None if _promote_good(lab) else Alarm("a good release was refused")
    bad, start = _package(lab, BUG.format(bug)), time.time()
    with contextlib.suppress(config.Problem):
        release.promote(bad)
        return None
    event = releases.ledger()[-1]
    moved = f"traffic was back in {event['seconds'] * 1000:.0f} ms; {releases.stable()} serves"
    return Alarm(event["reason"], time.time() - start, moved) if expected in event["reason"] else None


def _promote_good(lab: Lab) -> str:
    """Promote a release that differs by a comment alone; once for all who ask."""
    if "good" not in lab.kept:
        good = _package(lab, "# another commit\n")
        release.promote(good)
        lab.kept["good"] = good
    return str(lab.kept["good"])


def _package(lab: Lab, text: str) -> str:
    with lab.scratch(RAW, VALID) as scratch:
        with (scratch.root / f"src/{PACKAGE}/features.py").open("a", encoding="utf-8") as file:
            file.write("\n\n" + text)
        if refused := scratch.verb("package"):
            raise config.Problem(refused)
        return str(read_json(scratch.root / "reports/package.json")["release"])


def _calm(lab: Lab, seconds: float) -> str | None:
    """Return a word when every request of the last seconds was answered."""
    sent = lab.traffic.since(time.time() - seconds)
    return "calm" if sent and all(s.status == 200 for s in sent) else None


def alerts(since: float) -> list[dict[str, Any]]:
    """Return what reached the webhook since a moment, as the monitor wrote it down."""
    lines = ALERTS.read_text(encoding="utf-8").splitlines() if ALERTS.exists() else []
    found = [json.loads(line) for line in lines]
    return [alert for alert in found if alert["received"] >= since and alert["status"] == "firing"]


def alert_like(name: str, since: float, severity: str = "") -> str | None:
    for alert in alerts(since):
        if name in alert["alertname"] and severity in alert["severity"]:
            return f"{alert['owner']} ({alert['alertname']}, {alert['runbook']})"
    return None


def _post(lab: Lab, body: Any) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(lab.traffic.url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Length", str(len(data)))
        connection.endheaders()
        # Who refuses a large body may close before all of it was sent; the answer is there still.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(data)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
