"""Judge a candidate beside the stable release: golden rows, answers to the same rows, errors and latency."""

import json
import re
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars import selectors
from scipy.special import bdtrc, ndtri  # scipy.stats takes seconds, and who rolls back has none

from . import budget, config, matrix, releases, stack, watch
from .stages import read_json

STOP, PART_BYTES = Path("run/rollback.requested"), 250_000
SAMPLE = re.compile(r"^(service_(?:request|fallback)\w+)\{(.*)\} (\S+)$", re.MULTILINE)


def let_in(stable: str, candidate: str, care: float) -> str:
    """Return why the release in slot `candidate` must go back, nothing when it took every step."""
    policy = read_json(budget.POLICY)
    policy["step_requests"] *= care
    stack.wait_ready(candidate, STOP.exists)
    for percent, seconds in [(0, 0), *zip(policy["steps_percent"], policy["max_seconds"], strict=True)]:
        stack.set_weights({stable: 100 - percent, candidate: percent})
        reason = watch_step(stable, candidate, policy, care * seconds) if percent else ""
        if reason := reason or golden(candidate) or _shadow(candidate, policy):
            return f"{reason} (at {percent} % of traffic)"
        print(f"promote: {percent:3} % held" if percent else "promote: it answers as it should; traffic may come")
    return ""


def watch_step(stable: str, candidate: str, policy: dict[str, Any], seconds: float) -> str:
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


def golden(slot: str) -> str:
    """Ask a slot the golden rows of its release; return what is wrong with the answers, nothing if they are right."""
    known = read_json(releases.source(str(stack.release_in(slot))) / "model/golden.json")
    try:
        told = _check(slot, known["rows"], "predictions")
        right = matrix.same(told, known["answers"], config.contract().tolerance)
    except OSError as error:
        return f"it does not answer its golden rows: {error}"
    return "" if right else "its golden rows are answered differently than when it was packaged"


def _shadow(slot: str, policy: dict[str, Any]) -> str:
    """Ask a candidate the newest rows that the stable release answered; return what speaks against its answers."""
    stable, release = str(releases.stable()), str(stack.release_in(slot))
    old, contract = (config.contract(releases.source(each)) for each in (stable, release))
    rows, said, _ = watch.read_log(contract, newest=8)
    rows, said = (each.filter(said["release"] == stable).tail(policy["shadow_rows"]) for each in (rows, said))
    if old.version != contract.version or rows.height < policy["step_requests"]:
        print(f"promote: {rows.height} rows of this contract in the log are too few to compare answers")
        return ""
    asked = rows.select(contract.row).with_columns(selectors.datetime().dt.to_string("iso")).to_dicts()
    told = _check(slot, asked, "raw")
    if lost := len(asked) - len(told):
        return f"{lost} of {len(asked)} rows that the stable release answered break it"
    return disagree(np.array(said["prediction"].to_list()), np.array(told), policy)


def disagree(was: np.ndarray, now: np.ndarray, policy: dict[str, Any]) -> str:
    """Return how far answers to the same rows agree, if that is too little even at the end of its interval.

    Fisher's z of a rank correlation has the variance 1.06 / (rows - 3) (Fieller, 1957).
    """
    found = agreement(was, now)
    z = np.arctanh(np.clip(found, -0.999, 0.999))
    best = np.tanh(z + ndtri(1 - policy["alpha"]) * (1.06 / (len(was) - 3)) ** 0.5)
    said = f"its answers to {len(was)} rows agree with the stable release's by {found:.2f}"
    return f"{said}, {policy['agreement']} is asked" if best < policy["agreement"] else ""


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Return the rank correlation, a mean over classes: 1 is the same order, 0 chance or a constant, -1 inverted."""
    pairs = zip(one.reshape(len(one), -1).T, other.reshape(len(other), -1).T, strict=True)
    found = [pl.DataFrame({"a": a, "b": b}).select(pl.corr("a", "b", method="spearman")).item() for a, b in pairs]
    return float(np.nan_to_num(found).mean())


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
        if n and usual < 1 and bdtrc(candidate[name] - 1, n, usual) < policy["alpha"]:
            return f"{candidate[name]:.0f} {name} in {n} requests"
    return ""


def _check(slot: str, rows: list[Any], key: str) -> list[Any]:
    """Ask a slot rows that no client waits for, in parts of which each is well below the largest body."""
    size = max(1, len(rows) * PART_BYTES // len(json.dumps(rows)))
    parts = [rows[at : at + size] for at in range(0, len(rows), size)]
    return [told for part in parts for told in json.loads(_get(slot, "/check", part))[key]]


def _get(slot: str, path: str, body: Any = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://127.0.0.1:{stack.port(slot)}{path}", data)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bytes(answer.read())
