"""What follows from the promises, as facts: capacity, burn rates, limits of the proxy, steps of a canary."""

import functools
import math
import operator
from pathlib import Path
from typing import Any

import yaml

from . import config
from .facts import call, called, leaf, leaves, made, note, notes, plain, short

ASSUMPTIONS = Path(__file__).with_name("assumptions.yaml")
STEPS_PERCENT = [1, 5, 25, 50, 100]
SPENT = {"1h": (60, 0.02), "6h": (360, 0.05), "1d": (1440, 0.1), "3d": (4320, 0.1)}  # minutes, share of the budget
Facts = dict[str, Any]


class Price(config.Strict):
    """What one machine costs that carries one replica: ops/prices.yaml."""

    machine: str
    usd_per_hour: config.Positive
    source: str
    date: str


class Measured(config.Strict, extra="ignore"):
    """The highest rate that one replica keeps, and where `make capacity` found that: ops/capacity.json."""

    highest_rps: config.Positive
    floor_ms: config.Positive
    machine: str
    date: str


def inputs() -> Facts:
    """Return what is promised, set, measured, paid and assumed: each number and name knows where it is written."""
    path = Path("ops/capacity.json")
    assumed = yaml.safe_load(ASSUMPTIONS.read_text(encoding="utf-8")).items()
    return {
        "slo": leaves("slo.yaml", config.slo().model_dump()),
        "params": leaves("params.yaml", config.params().model_dump()),
        "price": leaves("ops/prices.yaml", config.load(Path("ops/prices.yaml"), Price).model_dump()),
        "measured": leaves(path.as_posix(), config.load(path, Measured).model_dump()) if path.exists() else {},
        "assumed": {
            name: leaf(name, each["value"], f"{ASSUMPTIONS.name}: {name}, {each['why']}") for name, each in assumed
        },
    }


def capacity(given: Facts) -> Facts:
    """Return how many replicas carry the peak, with one to spare, what 1000 answers cost, and who says so."""
    peak, price, measured = given["slo"]["peak_rps"], given["price"], given["measured"]
    rps, origin = given["assumed"]["replica_rps"], "not measured, assumed: run `make capacity`"
    if measured:
        rps = called("replica_rps", given["assumed"]["usable"] * measured["highest_rps"])
        origin = f"measured on {measured['machine']}, {measured['date']}"
    replicas = called("replicas", call(math.ceil, peak / rps) + 1)
    return {
        "replicas": replicas,
        "machine": price["machine"],
        "usd_per_hour": price["usd_per_hour"],
        "replica_rps": rps,
        "origin": origin,
        "measured": bool(measured),
        "utilisation": called("utilisation", short(peak / (replicas * rps))),
        "cost_per_1000": called("cost_per_1000", short(replicas * price["usd_per_hour"] / (peak * 3600) * 1000)),
        "currency": "USD",
    }


def idle(facts: Facts) -> list[str]:
    """Return which smaller machines would do and what they save, if that is much."""
    found, peak = facts["capacity"], facts["slo"]["peak_rps"]
    times = found["replica_rps"] * (found["replicas"] - 1) / peak
    if times < facts["assumed"]["idle_factor"]:
        return []
    part = 2 ** math.floor(math.log2(times))
    saved = 730 * found["replicas"] * found["usd_per_hour"] * (1 - 1 / part)
    what = f"one replica to spare, the others carry {times:.3g} times the peak of {peak:g} per second"
    return [f"{what}: 1/{part} of a {plain(found['machine'])} each would do, and save {saved:.0f} USD a month"]


def burns(slo: Facts) -> Facts:
    """Return the budget (a share of requests) and, per long window, the burn rate that spends that window's share.

    The rate is at least 1, which keeps the promise, and at most 0.8 / budget: a total outage burns at 1 / budget.
    """
    found = {}
    available = slo["objectives"]["availability_percent"]["target"]
    budgets = {
        "availability": called("availability_budget", (100 - available) / 100),
        "latency": leaf("latency_budget", 0.01, "plan.py: what p99 says, 1 of 100 may be slower"),
    }
    for name, budget in budgets.items():
        rate, adapted = {}, []
        for window, (minutes, spent) in SPENT.items():
            wanted = spent * slo["window_days"] * 1440 / minutes
            rate[window] = called(f"{name}_rate_{window}", short(call(min, call(max, wanted, 1), 0.8 / budget), 5))
            if abs(rate[window] - wanted) > 1e-3 * wanted:  # not by rounding alone
                bound = f"at most 0.8 / {budget}" if rate[window] < wanted else "at least 1"
                adapted.append(f"{window}: {wanted:.4g} becomes {rate[window]:.4g}, {bound}")
        # A share of bad requests that deserves a ticket and no page.
        ticket = budget * (call(min, rate["1d"], rate["3d"]) + call(min, rate["1h"], rate["6h"])) / 2
        ticket = called(f"{name}_ticket_share", ticket)
        outage = called(f"{name}_outage_minutes", call(math.floor, rate["1h"] * budget * 60) + 2)
        spent_by_then = called(f"{name}_outage_spends", short(100 * outage / (slo["window_days"] * 1440 * budget)))
        found[name] = {"budget": budget, "rate": rate, "ticket_share": ticket, "outage_minutes": outage}
        found[name] |= {"outage_spends": spent_by_then, "adapted": adapted}
    return found


def follow(given: Facts) -> Facts:
    """Return what the templates call by name: the promises, and what follows from them."""
    slo, goal, assumed = given["slo"], given["slo"]["objectives"], given["assumed"]
    peak, p99_ms, burning = slo["peak_rps"], goal["latency_p99_ms"]["target"], burns(slo)
    requests = called("requests", call(round, peak * slo["window_days"] * 86400))
    timeout_ms = called("timeout_ms", call(max, 2000, call(math.ceil, 10 * p99_ms)))
    # So many find a candidate that fails a share of them, and miss it seldom enough.
    log = math.log
    enough = call(math.ceil, call(log, assumed["missed_share"]) / call(log, 1 - assumed["found_share"]))
    step_requests = called("step_requests", enough)
    each = {percent: step_requests / (peak * percent / 100) for percent in STEPS_PERCENT}
    # From 25 % on all stay: a release is always tried on a part of the traffic first.
    kept = [percent for percent in each if percent >= 25 or each[percent] <= assumed["step_s"]]
    seconds = [each[percent] for percent in kept]
    bad = called("bad_requests", call(math.floor, requests * burning["availability"]["budget"]))
    planned, watch, age = capacity(given), _watch(slo["drift"], assumed), goal["model_age_days"]["target"]
    together = called("canary_seconds", call(math.ceil, functools.reduce(operator.add, seconds)))
    steps = [made(f"{percent}, 25 at least or step_s long at most", percent, each[percent]) for percent in kept]
    canary = {"steps_percent": steps, "step_requests": step_requests, "seconds": together}
    return {
        "package": Path(__file__).parents[1].name,
        "slo": slo,
        "goal": goal,
        "handle": {name: _handle(slo["owners"], objective["owner"]) for name, objective in goal.items()},
        "ports": given["params"]["ports"],
        "watch": watch,
        "capacity": planned,
        "error_budget": {"window_days": slo["window_days"], "requests": requests, "bad_requests": bad},
        "burns": burning,
        "assumed": assumed,
        "min_bad": assumed["min_bad"],
        "floor_ms": given["measured"].get("floor_ms", assumed["floor_ms"]),
        "canary": canary,
        "left_out": {percent: short(each[percent]) for percent in STEPS_PERCENT if percent not in kept},
        "max_seconds": [call(max, 10, call(math.ceil, assumed["patience"] * each)) for each in seconds],
        "budget_left": _budget_left(slo["window_days"], burning["availability"]["budget"]),
        "bucket": note((p99_ms / 1000).story()) + str(float(p99_ms / 1000)),  # as the client library spells it: 1.0
        # A prediction is watched, joined with its label and replayed as long as its model may serve.
        "log_days": called(
            "log_days", call(max, slo["window_days"], age + watch["confirm_windows"] * watch["window_days"])
        ),
        "most_replicas": called("most_replicas", call(math.ceil, 2 * peak / planned["replica_rps"]) + 1),
        "admitted": called("admitted", call(math.ceil, 2 * peak)),
        # Little's law: half of the promised time in a slot, half in the queue before it.
        "maxconn": called("maxconn", call(max, 16, call(math.ceil, peak * p99_ms / 2000))),
        "queue_ms": called("queue_ms", call(math.ceil, p99_ms / 2)),
        "timeout_ms": timeout_ms,
        "grace_s": called("grace_s", call(math.ceil, timeout_ms / 1000) + assumed["drain_s"]),
        "stall_s": called("stall_s", call(math.ceil, 2 * timeout_ms / 1000) + 1),
        "most": functools.partial(call, max),
        "short": short,
    }


def _watch(drift: Facts, assumed: Facts) -> Facts:
    """Return windows and sizes for drift: the named shift must rise above chance, and be confirmed in time."""
    days = called("drift_window_days", call(_weeks, drift["within_days"] / (assumed["confirm_windows"] + 1)))
    shift = called("drift_shift", drift["shift_percent"] / 100)
    return {
        "window_days": days,
        "window_rows": called("drift_window_rows", call(math.ceil, assumed["rows_of_a_shift"] / (shift * shift))),
        "confirm_windows": assumed["confirm_windows"],
        "false_alarms_per_window": called("false_alarms_per_window", drift["false_alarms_per_quarter"] * days / 91),
        "shift": shift,
        "least_shift": called("least_shift", shift / 2),
    }


def _weeks(days: float) -> float:
    """Return whole weeks, where it is one at least: the days of a week differ."""
    return days if days < 7 else 7 * math.floor(days / 7)


def _budget_left(days: float, budget: float) -> str:
    """Return the PromQL for the share that is left; while the window is young, as if the last hour went on."""
    answers, window = "haproxy_frontend_http_responses_total{proxy='public',code", f"[{days:g}d]"
    came = f"sum(increase({answers}!='4xx'}}{window}))"
    goes_on = f"{days:g} * 86400 * sum(rate({answers}!='4xx'}}[1h]))"
    text = f"1 - sum(increase({answers}='5xx'}}{window})) / ({budget} * (({came} > {goes_on}) or {goes_on}))"
    return notes(str(days) + str(budget)) + text


def _handle(owners: dict[str, str], role: str) -> str:
    """Return the handle of a role; it follows from both."""
    return notes(role) + owners[plain(role)]
