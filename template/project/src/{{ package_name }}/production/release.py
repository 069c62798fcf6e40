"""Let a release in step by step, compare it with the stable one, and take it back.

Traffic moves by weights in the proxy, and the release before stays warm in the other slot: the way back is one
command to a socket. Every decision goes to the ledger.
"""

import contextlib
import fcntl
import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scipy.stats import binom

from . import budget, config, releases, stack
from .stages import read_json

POLICY = Path("ops/derived/canary.json")
LOCK, STOP = Path("run/release.lock"), Path("run/rollback.requested")
SAMPLE = re.compile(r"^(service_(?:request|fallback)\w+)\{(.*)\} (\S+)$", re.MULTILINE)


def promote(release: str | None = None) -> None:
    """Let a release in by the steps of ops/derived/canary.json; the newest if none is named."""
    release = release or releases.newest()
    releases.verify(releases.source(release))
    with _locked():
        if (old := releases.stable()) is None:
            raise config.Problem("promote: nothing serves yet; `make up` starts the first release")
        if release == old:
            print(f"promote: {release} serves already")
            return
        care = budget.check()
        start, stable = time.time(), stack.serving_slot()
        candidate = stack.other(stable)
        warm, reason = stack.release_in(candidate), "the promotion broke off"
        releases.record("promoting", release=release, over=old)
        try:
            reason = _let_in(stable, candidate, release, care)
        finally:
            if reason:
                verdict = time.time()
                stack.set_weights({stable: 100, candidate: 0})
                facts = {"seconds": time.time() - verdict, "after_seconds": verdict - start}
                stack.stop_slot(candidate)
                if warm:  # what the slot held before: the stable release's own way back
                    stack.start_slot(candidate, warm)
                STOP.unlink(missing_ok=True)
                releases.record("rolled back", release=old, bad=release, reason=reason, **facts)
        if reason:
            raise config.Problem(f"promote: {release} was rolled back: {reason}")
        releases.set_stable(release)
        releases.record("promoted", release=release, over=old, seconds=time.time() - start)
        print(f"promote: {release} serves all traffic; {old} stays warm for a rollback")


def rollback() -> None:
    """Undo the promotion under way, or the last one; a second call finds nothing to undo."""
    start = time.time()
    STOP.parent.mkdir(exist_ok=True)
    STOP.touch()
    with _locked(seconds=config.slo().objectives.rollback_seconds.target):
        if not STOP.exists():
            print("rollback: what was under way has taken it back already")
            return
        STOP.unlink()
        past = releases.ledger()
        last = next((event for event in reversed(past) if event["event"] == "promoted"), None)
        if not last or any(event.get("bad") == last["release"] for event in past[past.index(last) :]):
            print(f"rollback: nothing to undo; {releases.stable()} serves")
            return
        release, serving = last["over"], stack.serving_slot()
        releases.verify(releases.source(release))  # refused before any traffic moves
        target = stack.other(serving)
        stack.start_slot(target, release)
        stack.wait_ready(target)
        stack.set_weights({target: 100, serving: 0})
        releases.set_stable(release)
        seconds = time.time() - start
        releases.record("rolled back", release=release, bad=last["release"], reason="by hand", seconds=seconds)
        print(f"rollback: {release} serves again after {seconds:.1f} s")


def _let_in(stable: str, candidate: str, release: str, care: float) -> str:
    """Return why the candidate must go back, nothing when it took every step."""
    policy = read_json(POLICY)
    policy["step_requests"] *= care
    stack.start_slot(candidate, release)
    stack.wait_ready(candidate)
    golden = read_json(releases.source(release) / "model/golden.json")
    answer = json.loads(_get(candidate, "/predict", golden["rows"]))
    if "degraded" in answer:
        return "it cannot read data/history.sqlite, or finds another contract's; `make featurize` writes it"
    if answer["predictions"] != golden["answers"]:
        return "its golden rows are answered differently than when it was packaged"
    print(f"promote: {release} is ready in {candidate} and answers its golden rows")
    for percent, seconds in zip(policy["steps_percent"], policy["max_seconds"], strict=True):
        stack.set_weights({stable: 100 - percent, candidate: percent})
        if reason := _watch_step(stable, candidate, policy, care * seconds):
            return f"{reason} (at {percent} % of traffic)"
        print(f"promote: {percent:3} % held")
    return ""


def _watch_step(stable: str, candidate: str, policy: dict[str, Any], seconds: float) -> str:
    """Compare both slots until the candidate has answered enough requests, or fails."""
    before, deadline = {slot: measure(slot) for slot in (stable, candidate)}, time.time() + seconds
    while time.time() < deadline:
        time.sleep(policy["look_s"])
        if STOP.exists():
            return "a rollback was asked for"
        if not stack.is_ready(candidate):
            return "its slot is not ready"
        seen = {slot: {k: v - before[slot][k] for k, v in measure(slot).items()} for slot in before}
        if reason := compare(seen[stable], seen[candidate], policy):
            return reason
        if seen[candidate]["requests"] >= policy["step_requests"]:
            return ""
    return f"not enough traffic: {policy['step_requests']:g} requests were needed"


def measure(slot: str) -> dict[str, float]:
    """Return how many calls of /predict a slot has answered, with errors, and slower than promised."""
    samples = SAMPLE.findall(_get(slot, "/metrics").decode())

    def count(metric: str, *wanted: str) -> float:
        return sum(float(n) for name, labels, n in samples if name == metric and all(w in labels for w in wanted))

    requests = count("service_requests_total", 'route="predict"')
    errors = count("service_requests_total", 'route="predict"', 'code="5') + count("service_fallback_total")
    fast = count("service_request_seconds_bucket", 'route="predict"', f'le="{config.slo().latency_s}"')
    return {"requests": requests, "errors or fallbacks": errors, "slow answers": requests - fast}


def compare(stable: dict[str, float], candidate: dict[str, float], policy: dict[str, Any]) -> str:
    """Return what is significantly worse than both the promise and the stable release."""
    n = int(candidate["requests"])
    for name, allowed in [("slow answers", policy["slow_share"]), ("errors or fallbacks", policy["error_share"])]:
        # A busy machine slows both: the stable release's own share, doubled, is no fault.
        usual = max(allowed, 2 * stable[name] / max(stable["requests"], 1))
        if n and usual < 1 and binom.sf(candidate[name] - 1, n, usual) < policy["alpha"]:
            return f"{candidate[name]:.0f} {name} in {n} requests"
    return ""


def _get(slot: str, path: str, body: Any = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://127.0.0.1:{stack.port(slot)}{path}", data)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bytes(answer.read())


@contextlib.contextmanager
def _locked(seconds: float = 0.0) -> Iterator[None]:
    """Hold the one lock under which traffic moves; wait at most so long for it."""
    LOCK.parent.mkdir(exist_ok=True)
    deadline = time.time() + seconds
    with LOCK.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.time() >= deadline:
                    what = "a promotion or rollback is under way; wait, or `make rollback`"
                    raise config.Problem(f"release: {what}") from None
                time.sleep(0.1)
        yield
