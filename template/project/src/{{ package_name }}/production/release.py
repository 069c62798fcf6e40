"""Let a release in step by step, compare it with the stable one, and take it back.

Traffic moves by weights in the proxy: the stable release keeps running, so the way back is one
command to a socket. Every decision goes to the ledger.
"""

import contextlib
import fcntl
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from scipy.stats import binom

from . import config, proxy, releases, stack
from .stages import read_json

POLICY = Path("ops/derived/canary.json")
LOCK, STOP = Path("run/release.lock"), Path("run/rollback.requested")
PEEK_SECONDS = 0.5


def promote(release: str | None = None) -> None:
    """Let a release in by the steps of ops/derived/canary.json; the newest if none is named."""
    release = release or read_json(Path("reports/package.json"))["release"]
    if not (releases.FOLDER / release).exists():
        raise config.Problem(f"promote: no release {release}; `ls {releases.FOLDER}` shows them")
    releases.verify(releases.source(release))
    with _locked():
        if (old := releases.stable()) is None:
            raise config.Problem("promote: nothing serves yet; `make up` starts the first release")
        if release == old:
            print(f"promote: {release} serves already")
            return
        stable = str(stack.slots()["stable"])
        candidate = stack.other(stable)
        warm = stack.slots()[candidate]
        releases.record("promoting", release=release, over=old)
        start = time.time()
        try:
            reason = _let_in(stable, candidate, release)
        except BaseException:
            _take_back(stable, candidate, release, "the promotion broke off", start)
            _warm(candidate, warm)
            raise
        if reason:
            _take_back(stable, candidate, release, reason, start)
            _warm(candidate, warm)
            raise config.Problem(f"promote: {release} was rolled back: {reason}")
        stack.set_stable(candidate)
        releases.STABLE.write_text(release + "\n", encoding="utf-8")
        releases.record("promoted", release=release, over=old, seconds=time.time() - start)
        print(f"promote: {release} serves all traffic; {old} stays warm for a rollback")


def rollback() -> None:
    """Undo the promotion under way, or the last one; a second call finds nothing to undo."""
    STOP.parent.mkdir(exist_ok=True)
    STOP.touch()
    start = time.time()
    with _locked(seconds=config.slo().objectives.rollback.seconds):
        if not STOP.exists():
            print("rollback: what was under way has taken it back already")
            return
        STOP.unlink()
        past = releases.ledger()
        last = next((e for e in reversed(past) if e["event"] == "promoted"), None)
        if not last or any(e.get("bad") == last["release"] for e in past[past.index(last) :]):
            print(f"rollback: nothing to undo; {releases.stable()} serves")
            return
        release, bad = last["over"], last["release"]
        _restore(release)
        seconds = time.time() - start
        releases.record("rolled back", release=release, bad=bad, reason="by hand", seconds=seconds)
        print(f"rollback: {release} serves again after {seconds:.1f} s")


def _restore(release: str) -> None:
    slots = stack.slots()
    serving = str(slots["stable"])
    other = stack.other(serving)
    # Refuse before any traffic moves when what we would go back to is damaged or lost.
    if not releases.source(release).exists():
        raise config.Problem(f"rollback: {releases.source(release)} is gone; bring it back first")
    releases.verify(releases.source(release))
    if slots[other] != release:
        stack.start_slot(other, release)
    stack.wait_ready(other)
    proxy.set_weights({other: 100, serving: 0})
    stack.set_stable(other)
    releases.STABLE.write_text(release + "\n", encoding="utf-8")


def _let_in(stable: str, candidate: str, release: str) -> str | None:
    """Return why the candidate must go back, None when it took every step."""
    policy = read_json(POLICY)
    proxy.set_weights({stable: 100, candidate: 0})
    stack.start_slot(candidate, release)
    stack.wait_ready(candidate)
    if wrong := _golden(candidate, release):
        return wrong
    print(f"promote: {release} is ready in {candidate} and answers its golden rows")
    for percent, seconds in zip(policy["steps_percent"], policy["max_seconds"], strict=True):
        proxy.set_weights({stable: 100 - percent, candidate: percent})
        if reason := _watch_step(stable, candidate, policy, seconds):
            return f"{reason} (at {percent} % of traffic)"
        print(f"promote: {percent:3} % held")
    return None


def _watch_step(
    stable: str, candidate: str, policy: dict[str, Any], seconds: float
) -> str | None:
    """Compare both slots until the candidate has answered enough requests, or fails."""
    before = {slot: measure(slot) for slot in (stable, candidate)}
    deadline = time.time() + seconds
    while time.time() < deadline:
        time.sleep(PEEK_SECONDS)
        if STOP.exists():
            STOP.unlink()
            return "a rollback was asked for"
        if not stack.is_ready(candidate):
            return "its slot is not ready"
        seen = {slot: measure(slot) - before[slot] for slot in before}
        if reason := compare(seen[stable], seen[candidate], policy):
            return reason
        if seen[candidate].requests >= policy["step_requests"]:
            return None
    return f"not enough traffic: {policy['step_requests']} requests were needed"


class Seen:
    """Requests of one slot, and how many of them failed or were slower than promised."""

    def __init__(self, requests: float, errors: float, slow: float) -> None:
        self.requests, self.errors, self.slow = requests, errors, slow

    def __sub__(self, other: "Seen") -> "Seen":
        return Seen(
            self.requests - other.requests, self.errors - other.errors, self.slow - other.slow
        )


def measure(slot: str) -> Seen:
    """Read a slot's counters; a request is one call of /predict."""
    promise = config.slo().objectives.latency.p99_ms / 1000
    text = _get(slot, "/metrics").decode()
    requests = errors = fast = 0.0
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            if labels.get("route") != "predict":
                continue
            if name == "service_requests_total":
                requests += value
                errors += value if labels["code"].startswith("5") else 0
            elif name == "service_request_seconds_bucket" and float(labels["le"]) == promise:
                fast += value
    return Seen(requests, errors, requests - fast)


def compare(stable: Seen, candidate: Seen, policy: dict[str, Any]) -> str | None:
    """Return what is significantly worse than both the promise and the stable release."""
    n = int(candidate.requests)
    for name, bad, reference, allowed in [
        ("errors", candidate.errors, stable.errors, policy["error_share"]),
        ("slow answers", candidate.slow, stable.slow, policy["slow_share"]),
    ]:
        # A busy machine slows both: the stable release's own share, doubled, is no fault.
        usual = max(allowed, 2 * reference / max(stable.requests, 1))
        if n and usual < 1 and binom.sf(bad - 1, n, usual) < policy["alpha"]:
            return f"{bad:.0f} {name} in {n} requests"
    return None


def _golden(slot: str, release: str) -> str | None:
    golden = read_json(releases.source(release) / "model/golden.json")
    answers = json.loads(_get(slot, "/predict", golden["rows"]))["predictions"]
    found = [answer["probability"] for answer in answers]
    wrong = sum(a != b for a, b in zip(found, golden["probabilities"], strict=True))
    return f"{wrong} of {len(found)} golden rows are answered differently" if wrong else None


def _take_back(stable: str, candidate: str, release: str, reason: str, start: float) -> None:
    verdict = time.time()
    proxy.set_weights({stable: 100, candidate: 0})
    moved = time.time() - verdict
    stack.stop_slot(candidate)
    STOP.unlink(missing_ok=True)
    facts = {"seconds": moved, "after_seconds": verdict - start}
    releases.record("rolled back", release=releases.stable(), bad=release, reason=reason, **facts)


def _warm(slot: str, release: str | None) -> None:
    """Start what the slot held before: the way back of the stable release stays short."""
    if release:
        stack.start_slot(slot, release)


def _get(slot: str, path: str, body: Any = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    url = f"http://127.0.0.1:{stack.port(slot)}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as answer:
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
                    raise config.Problem(
                        "release: a promotion or rollback is under way; wait, or `make rollback`"
                    ) from None
                time.sleep(0.1)
        yield
