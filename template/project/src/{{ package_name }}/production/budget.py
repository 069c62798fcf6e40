"""What is left of the error budget, and who let a release in although nothing was: one ledger for both."""

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from . import config, releases
from .stages import read_json

POLICY = Path("ops/derived/canary.json")


def budget(acknowledge: str = "") -> None:
    """Say what is left; with a reason, let the next promotion pass although it is spent, or the last was taken back."""
    share = left()
    if acknowledge:
        releases.record("acknowledged", reason=acknowledge, left=share)
        print("budget: the next promotion may pass; the ledger says why")
    if share is None:
        raise config.Problem("budget: Prometheus does not answer, so nobody knows what is left; `make up` starts it")
    print(f"budget: {share:.1%} of the error budget is left, {config.slo().window_days} days looked at")


def left() -> float | None:
    """Return the share of the error budget that is left, below 0 when overspent; None where Prometheus is silent."""
    found = ask(read_json(POLICY)["budget_left"])
    if not found:
        return None
    share = float(found[0]["value"][1])
    return 1.0 if math.isnan(share) else share  # no request came: none failed


def ask(query: str) -> list[dict[str, Any]]:
    """Return what Prometheus answers, nothing where it does not."""
    port, asked = config.params().ports.prometheus, urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{asked}", timeout=5) as answer:
            return list(json.load(answer)["data"]["result"])
    except urllib.error.HTTPError as error:
        raise config.Problem(f"budget: Prometheus refuses {query}: {error}; `make plan`, then `make up`") from None
    except OSError:
        return []


def check(verb: str = "promote") -> tuple[float | None, float]:
    """Stop a promotion or a retraining when the budget is spent, and a promotion after a rollback, unless that was
    acknowledged since.

    Return what is left, and how many times the usual requests each step must see: more when little is.
    """
    share, why, policy = left(), "", read_json(POLICY)
    last = releases.last("acknowledged", "promoted", "rolled back")
    if share is None:
        print(f"{verb}: what is left of the error budget is unknown: Prometheus does not answer")
    elif share <= 0:
        why = f"the error budget is spent ({share:.0%} left), and a release is what spends it; wait"
    if last and last["event"] == "rolled back" and verb == "promote":
        why = f"{last['bad']} was rolled back: {last['reason']}; read docs/incident.md"
    if why and not (last and last["event"] == "acknowledged"):
        raise config.Problem(f'{verb}: {why}, or `make budget ACK="why it must be"`')
    if share is None or share >= policy["careful_below"]:
        return share, 1.0
    times = policy["careful_times"]
    print(f"promote: {share:.0%} of the error budget is left: each step sees {times} times the requests")
    return share, float(times)
