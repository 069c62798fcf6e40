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
    """Say what is left; with a reason, let the next promotion pass although it is spent."""
    if (share := left()) is None:
        raise config.Problem("budget: Prometheus does not answer, so nobody knows what is left; `make up` starts it")
    print(f"budget: {share:.1%} of the error budget is left, {config.slo().window_days} days looked at")
    if acknowledge:
        releases.record("acknowledged", reason=acknowledge, left=share)
        print("budget: the next promotion may pass; the ledger says why")


def left() -> float | None:
    """Return the share of the error budget that is left, below 0 when overspent; None where Prometheus is silent."""
    found = ask(read_json(POLICY)["budget_left"])
    if not found:
        return None
    share = float(found[0]["value"][1])
    return 1.0 if math.isnan(share) else share  # no request came: none failed


def ask(query: str) -> list[dict[str, Any]]:
    """Return what Prometheus answers, nothing where it does not."""
    url = f"http://127.0.0.1:{config.params().ports.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return list(json.load(answer)["data"]["result"])
    except urllib.error.HTTPError as error:
        raise config.Problem(f"budget: Prometheus refuses {query}: {error}; `make plan`, then `make up`") from None
    except OSError:
        return []


def check(verb: str = "promote") -> float:
    """Stop a promotion, or a retraining, when the budget is spent, unless that was acknowledged since the last one.

    Return how many times the usual requests each step must see: more when little is left.
    """
    share = left()
    if share is None:
        print(f"{verb}: what is left of the error budget is unknown: Prometheus does not answer")
    elif share <= 0:
        ends = ("acknowledged", "promoted", "rolled back")
        last = next((event["event"] for event in reversed(releases.ledger()) if event["event"] in ends), "")
        if last != "acknowledged":
            what = f"the error budget is spent ({share:.0%} left), and a release is what spends it"
            raise config.Problem(f'{verb}: {what}; wait, or `make budget ACK="why it must be"`')
    policy = read_json(POLICY)
    if share is None or share >= policy["careful_below"]:
        return 1.0
    print(
        f"promote: {share:.0%} of the error budget is left: each step sees {policy['careful_times']} times the requests"
    )
    return float(policy["careful_times"])
