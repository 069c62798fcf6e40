"""Faults that come with a release, and what lets releases in: promotion, canary, budget, rollback.

As in live.py, each returns the alarm, None if all is quiet; unbroken, a good release must come through.
"""

import contextlib
import re
import time
from concurrent.futures import ThreadPoolExecutor

from .. import budget, config, release, releases, stack
from ..stages import read_json
from .lab import PACKAGE, Alarm, refusal, scratch, wait_for
from .traffic import Traffic

# Live requests alone: packaging, and the golden rows, a larger batch, pass.
LIVE = "'RUN_DIR' in os.environ and len(columns[next(iter(columns))]) < 40"
BUG = """
import os, random, time
right = features
def features(columns):
    {}
    return right(columns)
"""


def corrupt_model(traffic: Traffic, broken: bool) -> Alarm | None:
    """Damage a packaged model; promote it, then force it into a slot: neither may let it serve."""
    if not broken:
        return _promote_good()
    bad, spare = _package("# a release that rots\n"), stack.other(stack.serving_slot())
    model, warm, start = releases.source(bad) / "model/model.txt", stack.release_in(spare), time.time()
    model.write_bytes(model.read_bytes()[:-100])
    said = ""
    try:
        release.promote(bad)
    except config.Problem as problem:
        said = str(problem)
    seconds = time.time() - start
    stack.start_slot(spare, bad)
    ready = wait_for(lambda: stack.is_ready(spare), 8)
    stack.stop_slot(spare)
    if warm:
        stack.start_slot(spare, warm)
    if ready or "model/model.txt is not what was packaged" not in said:
        return None
    return Alarm(said, seconds, "no traffic moved; forced into a slot, it never became ready")


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
    bug = f"{LIVE} and time.sleep({1.5 * config.slo().latency_s})"
    return _candidate(broken, bug, "slow answers", "fallbacks")


def failing_release(traffic: Traffic, broken: bool) -> Alarm | None:
    return _candidate(broken, f"assert not ({LIVE} and random.random() < 0.2), 'a bug'", "errors")


def _candidate(broken: bool, bug: str, *expected: str) -> Alarm | None:
    """Package a copy of the repo with a bug in features.py, and let the promotion find it."""
    if not broken:  # a good candidate goes all the way: the promotion that rollback-twice undoes
        return _promote_good()
    bad, start = _package(BUG.format(bug)), time.time()
    with contextlib.suppress(config.Problem):
        release.promote(bad)
        return None
    event = releases.ledger()[-1]
    moved = f"traffic was back in {event['seconds'] * 1000:.0f} ms; {releases.stable()} serves"
    found = any(each in event["reason"] for each in expected)
    return Alarm(event["reason"], time.time() - start, moved) if found else None


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
