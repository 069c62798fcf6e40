"""What follows from the promises, as facts: formulas.yaml worked out, and what no formula says."""

import functools
import math
import operator
from pathlib import Path
from types import CodeType
from typing import Any

import yaml

from . import config
from .facts import Fact, call, called, fact, leaves, made, note, notes, plain, short

ASSUMPTIONS, FORMULAS = (Path(__file__).with_name(name) for name in ("assumptions.yaml", "formulas.yaml"))
STEPS_PERCENT, SLIS, WINDOWS = [1, 5, 25, 50, 100], ("availability", "latency"), ("1h", "6h", "1d", "3d")
CARD, CONTRACT = "ops/gpu.yaml", "contract.yaml"
Facts = dict[str, Any]


class Price(config.Strict):
    """What one machine costs that carries one replica: ops/prices.yaml."""

    machine: str
    usd_per_hour: config.Positive
    source: str
    date: str


class Reads(config.Strict):
    """What the plan takes from contract.yaml."""

    encoder: config.Encoder


class Measured(config.Strict, extra="ignore"):
    """The highest rate that one replica keeps, and where `make capacity` found that: ops/capacity.json."""

    highest_rps: config.Positive
    floor_ms: config.Positive
    machine: str
    date: str


def inputs() -> Facts:
    """Return what is promised, set, measured, paid and assumed: each number and name knows where it is written."""
    path, card, encoder = Path("ops/capacity.json"), Path(CARD), config.contract().encoder
    assumed = yaml.safe_load(ASSUMPTIONS.read_text(encoding="utf-8"))
    why = {name: f"{ASSUMPTIONS.name}: {name}, {each['why']}" for name, each in assumed.items()}
    return {
        "assumed": {name: fact(name, each["value"], source=why[name]) for name, each in assumed.items()},
        "slo": leaves("slo.yaml", config.slo().model_dump()),
        "params": leaves("params.yaml", config.params().model_dump()),
        "price": leaves("ops/prices.yaml", config.load(Path("ops/prices.yaml"), Price).model_dump()),
        "measured": leaves(path.as_posix(), config.load(path, Measured).model_dump()) if path.exists() else {},
        "gpu": leaves(CARD, yaml.safe_load(card.read_text(encoding="utf-8"))) if card.exists() and encoder else {},
        "reads": leaves(CONTRACT, {"encoder": encoder.model_dump()}) if encoder else {},
    }


def weeks(days: float) -> float:
    """Return whole weeks, where it is one at least: the days of a week differ."""
    return days if days < 7 else 7 * math.floor(days / 7)


# What formulas and templates may call.
CALLED = (math.ceil, math.floor, math.log, math.sqrt, round, min, max, weeks)
FUNCTIONS: dict[str, Any] = {each.__name__: functools.partial(call, each) for each in CALLED} | {"short": short}


@functools.cache
def formulas(part: str) -> dict[str, str]:
    """Return the formulas of a part of formulas.yaml, by their names."""
    found = yaml.safe_load(FORMULAS.read_text(encoding="utf-8"))[part].items()
    return {name.replace("SLI", sli): formula.replace("SLI", sli) for name, formula in found for sli in SLIS}


@functools.cache
def _compiled(formula: str) -> CodeType:
    return compile(formula.strip(), formula, "eval")


def work_out(formula: str, known: Facts) -> Any:
    """Return what a formula gives, from what is known by name. It is code of ours, no input."""
    return eval(_compiled(formula), FUNCTIONS, known)


def follow(given: Facts) -> Facts:
    """Return what the templates call by name: the promises, and what follows from them."""
    slo, price, measured, card = given["slo"], given["price"], given["measured"], given["gpu"]
    known = _numbers([given["assumed"], slo, price, measured, card, given["reads"]])
    origin = "not measured, assumed: run `make capacity`"
    for name, formula in (formulas("gpu" if card else "encoder") if given["reads"] else {}).items():
        known[name] = called(name, work_out(formula, known))
    if measured:
        known["replica_rps"] = called("replica_rps", known["usable"] * known["highest_rps"])
        origin = f"measured on {measured['machine']}, {measured['date']}"
    for name, formula in formulas("numbers").items():
        known[name] = called(name, work_out(formula, known))
    each = {percent: known["step_requests"] / (known["peak_rps"] * percent / 100) for percent in STEPS_PERCENT}
    # From 25 % on all stay: a release is always tried on a part of the traffic first.
    kept = {percent: seconds for percent, seconds in each.items() if percent >= 25 or seconds <= known["step_s"]}
    steps = [made(f"{percent}, 25 at least or step_s long at most", percent, each[percent]) for percent in kept]
    together = called("canary_seconds", call(math.ceil, functools.reduce(operator.add, kept.values())))
    told = ("replicas", "usd_per_hour", "replica_rps", "utilisation", "cost_per_1000")
    return known | {
        "package": Path(__file__).parents[1].name,
        "slo": slo,
        "gpu": card,
        "handle": {name: _handle(slo["owners"], promise["owner"]) for name, promise in slo["objectives"].items()},
        "ports": given["params"]["ports"],
        "at": dict.fromkeys([*given["params"]["ports"], "gpu", "bind"], "127.0.0.1") | {"run": "run"},
        "capacity": {name: known[name] for name in told}
        | {"machine": price["machine"], "origin": origin, "measured": bool(measured), "currency": "USD"},
        "error_budget": {name: known[name] for name in ("window_days", "requests", "bad_requests")},
        "burns": {sli: _burns(sli, known) for sli in SLIS},
        "canary": {"steps_percent": steps, "step_requests": known["step_requests"], "seconds": together},
        "steps": len(kept),
        "left_out": {percent: short(seconds) for percent, seconds in each.items() if percent not in kept},
        "max_seconds": [call(max, 10, call(math.ceil, known["patience"] * seconds)) for seconds in kept.values()],
        "budget_left": _budget_left(known["window_days"], known["availability_budget"]),
        # As the client library spells it: 1.0.
        "bucket": note((known["latency_p99_ms"] / 1000).story) + str(float(known["latency_p99_ms"] / 1000)),
    }


def _numbers(node: Any) -> Facts:
    """Return the numbers in dicts and lists by their names, of two the last."""
    if isinstance(node, Fact):
        return {node.story["name"]: node}
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return {name: number for part in parts for name, number in _numbers(part).items()}


def _burns(sli: str, known: Facts) -> Facts:
    """Return what is known of an objective's budget, by shorter names, and where its burn rates meet a bound."""
    burn: Facts = {name.removeprefix(f"{sli}_"): known[name] for name in known if name.startswith(f"{sli}_")}
    burn["adapted"] = []
    for window in WINDOWS:
        wanted, rate = known[f"wanted_{window}"], burn[f"rate_{window}"]
        if abs(rate - wanted) > 1e-3 * wanted:  # not by rounding alone
            bound = f"at most 0.8 / {burn['budget']}" if rate < wanted else "at least 1"
            burn["adapted"].append(f"{window}: {wanted:.4g} becomes {rate:.4g}, {bound}")
    return burn


def idle(facts: Facts) -> list[str]:
    """Return which smaller machines would do and what they save, if that is much."""
    found, peak = facts["capacity"], facts["peak_rps"]
    times = found["replica_rps"] * (found["replicas"] - 1) / peak
    if times < facts["idle_factor"]:
        return []
    part = 2 ** math.floor(math.log2(times))
    saved = 730 * found["replicas"] * found["usd_per_hour"] * (1 - 1 / part)
    what = f"one replica to spare, the others carry {times:.3g} times the peak of {peak:g} per second"
    return [f"{what}: 1/{part} of a {plain(found['machine'])} each would do, and save {saved:.0f} USD a month"]


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
