"""Faults that come with a release, and what lets releases in: promotion, canary, budget, rollback.

Their control is a good release: it must come through.
"""

import contextlib
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .. import budget, config, release, releases, stack
from ..stages import HISTORY, read_json
from .lab import PACKAGE, Alarm, Trial, refusal, scratch, wait_for
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
WRONG = "right = predict\npredict = lambda model, x: 1 - right(model, x)\n"


def corrupt_model(traffic: Traffic) -> Trial:
    """Damage a packaged model; promote it, then force it into a slot: neither may let it serve."""
    yield _promote_good()
    bad, spare = _package("# a release that rots\n"), stack.other(stack.serving_slot())
    model, warm, start = releases.source(bad) / "model/model.txt", stack.release_in(spare), time.time()
    model.write_bytes(model.read_bytes()[:-100])
    said, seconds = refusal(Path(), f"promote {bad}"), time.time() - start
    stack.start_slot(spare, bad)
    ready = wait_for(lambda: stack.is_ready(spare), 8)
    stack.start_slot(spare, warm) if warm else stack.stop_slot(spare)
    found = not ready and "model/model.txt is not what was packaged" in said
    yield Alarm(said, seconds) if found else None


def budget_spent(traffic: Traffic) -> Trial:
    """Count as if so little may fail that a moment's outage spends it all: the next release must wait."""
    policy, share = budget.POLICY.read_text(encoding="utf-8"), budget.left()
    yield Alarm(f"{share} left") if share is None or share <= 0 else None
    candidate, start = _package("# a release too many\n"), time.time()
    stack.stop_slot(stack.serving_slot())
    wait_for(lambda: traffic.failed(start), 10)
    stack.up()
    budget.POLICY.write_text(re.sub(r"/ \([\d.e-]+ ", "/ (1e-6 ", policy), encoding="utf-8")
    wait_for(lambda: (budget.left() or 0) < 0, 30)
    said = refusal(Path(), f"promote {candidate}").split(";")[0]
    budget.POLICY.write_text(policy, encoding="utf-8")
    yield Alarm(said, time.time() - start) if "spent" in said else None


def lost_artefact(traffic: Traffic) -> Trial:
    """Lose the model of the release to go back to, then the past that it looks up; bring them back."""
    yield _promote_good()
    start, before, target, said = time.time(), releases.stable(), (releases.last("promoted") or {})["over"], ""
    for path in (releases.source(target) / "model/model.txt", *([HISTORY] if config.contract().history else [])):
        os.rename(path, away := path.with_suffix(".away"))
        refused = refusal(Path(), "rollback")
        os.rename(away, path)
        said += f"{refused}; " if path.name in refused else "not refused; "
    seconds, moved = time.time() - start, {s.release for s in traffic.since(start)} - {before, ""}
    release.rollback()
    good = not moved and "not refused" not in said and releases.stable() == target
    yield Alarm(said, seconds) if good else None


def rollback_twice(traffic: Traffic) -> Trial:
    """Kill a promotion that has traffic, then call for a rollback twice at once."""
    yield _promote_good()
    bad, start = _package("# a release in doubt\n"), time.time()
    budget.budget("the rehearsal goes on")
    with subprocess.Popen([sys.executable, "-m", f"{PACKAGE}.production", "promote", bad]) as promotion:
        wait_for(lambda: any(s.release == bad for s in traffic.since(start)), 60)
        promotion.kill()
    killed = time.time()
    with ThreadPoolExecutor() as pool:
        for _ in range(2):
            pool.submit(release.rollback)
    events = [e for e in releases.ledger() if e["event"] == "rolled back" and e["at"] >= killed]
    seconds, promised = time.time() - killed, config.slo().objectives.rollback_seconds.target
    said = f"two calls, one rollback to {releases.stable()}: {', '.join(e['reason'] for e in events)}"
    answer = f"the second found nothing to undo; {traffic.failed(start)} requests failed"
    yield Alarm(said, seconds, answer) if [e["bad"] for e in events] == [bad] and seconds <= promised else None


def slow_release(traffic: Traffic) -> Trial:
    bug = f"{LIVE} and time.sleep({1.5 * config.slo().latency_s})"
    return _candidate(BUG.format(bug), "slow answers", "fallbacks")


def failing_release(traffic: Traffic) -> Trial:
    return _candidate(BUG.format(f"assert not ({LIVE} and random.random() < 0.2), 'a bug'"), "errors")


def wrong_release(traffic: Traffic) -> Trial:
    """Turn all answers round, before the golden rows are made: they are right by its own lights."""
    return _candidate(WRONG, "agree", file="train.py")


def _candidate(bug: str, *expected: str, file: str = "features.py") -> Trial:
    """Package a copy of the repo with a bug in a file of yours, and let the promotion find it."""
    yield _promote_good()
    bad, start = _package(bug, file), time.time()
    budget.budget("the rehearsal goes on")
    with contextlib.suppress(config.Problem):
        release.promote(bad)
        return
    event = releases.ledger()[-1]
    moved = f"traffic was back in {event['seconds'] * 1000:.0f} ms; {releases.stable()} serves"
    found = any(each in event["reason"] for each in expected)
    yield Alarm(event["reason"], time.time() - start, moved) if found else None


def _promote_good() -> Alarm | None:
    """Promote a release that differs by a comment alone, once for all who ask; if it is refused, no fault is run."""
    if releases.last("promoted") is None:
        release.promote(_package("# another commit\n"))
    return None


def _package(text: str, name: str = "features.py") -> str:
    with scratch() as root:
        with (root / f"src/{PACKAGE}/{name}").open("a", encoding="utf-8") as file:
            file.write("\n\n" + text)
        if refused := refusal(root, "package"):
            raise config.Problem(refused)
        return str(read_json(root / "reports/package.json")["release"])
