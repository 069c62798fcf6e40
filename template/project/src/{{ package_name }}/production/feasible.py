"""What the promises must leave room for, given how the stack works; and the nearest promises that do."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

from pydantic import ValidationError

from . import config
from .facts import Fact, called, leaves, plain, sources
from .promises import Facts, Price, follow

OPEN: dict[str, tuple[str, type[config.Strict]]] = {  # what its owner may change
    "slo.yaml": ("slo", config.Slo),
    "ops/prices.yaml": ("price", Price),
}
TRIED = [2 ** (k / 4) for k in range(1, 61)]  # factors, until one is enough: the nearest is then looked for


class Limit(NamedTuple):
    """`least` may be at most `most`; else `what` is what happens."""

    what: str
    least: float
    most: float

    @property
    def holds(self) -> bool:
        return self.least <= self.most


class WayOut(NamedTuple):
    factor: float  # by which an answer changes, above 1
    where: str
    text: str


def limits(facts: Facts) -> list[Limit]:
    """Return all limits, those that hold too."""
    goal, given, peak = facts["goal"], facts["assumed"], facts["slo"]["peak_rps"]
    budget, canary = facts["burns"]["availability"]["budget"], facts["canary"]
    promised = {name: objective["target"] for name, objective in goal.items()}
    requests = called("error_budget", facts["error_budget"]["requests"] * budget)
    # A total outage: found when it has spent the fast page's share, told, and taken back.
    found = facts["burns"]["availability"]["rate"]["1h"] * budget * 3600
    outage = found + 2 * given["scrape_s"] + given["group_wait_s"] + promised["rollback_seconds"]
    undetected = len(canary["steps_percent"]) * canary["step_requests"] * given["found_share"]
    checks = [
        ("one failed request spends more than the error budget", 1, requests),
        ("1000 predictions cost more than promised", facts["capacity"]["cost_per_1000"], promised["cost_usd_per_1000"]),
        ("an idle replica is slower than promised", facts["floor_ms"], promised["latency_p99_ms"]),
        (
            "the way back takes longer than promised: a promotion looks for a call to roll back, then the proxy checks",
            given["look_s"] + given["check_s"],
            promised["rollback_seconds"],
        ),
        (
            "data that is fresh enough makes a model that is too old on its first day",
            promised["freshness_hours"],
            24 * promised["model_age_days"],
        ),
        ("a bad release that each canary step just misses spends more than the error budget", undetected, requests),
        (
            "one total outage, found, paged and rolled back as planned, spends more than the error budget (seconds)",
            called("outage_s", outage),
            called("budget_s", facts["slo"]["window_days"] * 86400 * budget),
        ),
    ]
    watch = facts["watch"]
    checks.append(
        (
            "a drift window has too few rows to find the shift, at a quiet time",
            watch["window_rows"],
            called("quiet_rows", peak / given["patience"] * watch["window_days"] * 86400),
        )
    )
    for name, burn in facts["burns"].items():
        for alert, minutes, share in (("Fast", 5, 1), ("Slow", 360, burn["ticket_share"])):
            most = called(f"bad_requests_in_{minutes}_minutes", peak * 60 * minutes * share)
            what = f"{name.title()}Burns{alert} cannot fire, all that comes is too little"
            checks.append((what, given["min_bad"], most))
    return [Limit(what, Fact(least) if type(least) is int else least, most) for what, least, most in checks]


def conflicts(given: Facts) -> list[dict[str, str]]:
    """Return each limit that is broken: the smallest set of answers that break it, the arithmetic, the ways out."""
    found, checked = [], limits(follow(given))
    broken = {number for number, limit in enumerate(checked) if not limit.holds}
    for number, limit in ((number, checked[number]) for number in sorted(broken)):
        stories = [part.story() for part in (limit.least, limit.most) if isinstance(part, Fact)]
        keys = sorted(key for key in sources(stories) if key.partition(": ")[0] in OPEN)
        enough = functools.partial(_enough, broken - {number})
        ways = [way for key in keys for sign in (1, -1) for way in _way_out(given, key, sign, enough)]
        ways.sort(key=lambda way: (not way.where.startswith("slo.yaml"), way.factor))  # the promises first
        # Answers that change nothing by themselves are no part of the conflict.
        clash = list(dict.fromkeys(way.where for way in ways)) or keys
        told = f"{limit.what}: {_arithmetic(limit.least)} is more than {_arithmetic(limit.most)}"
        others = f" (with {', '.join(each.partition(': ')[2] for each in clash[1:])})" if clash[1:] else ""
        way_out = " or ".join(way.text for way in ways[:3]) or f"change {' and '.join(clash)}"
        found.append({"where": clash[0], "what": f"{told}{others}", "way_out": way_out})
    return found


def _enough(broken: set[int], given: Facts) -> bool:
    """Return whether no limit is broken but those that were broken beside it."""
    return {number for number, limit in enumerate(limits(follow(given))) if not limit.holds} <= broken


def _way_out(given: Facts, key: str, sign: int, enough: Callable[[Facts], bool]) -> list[WayOut]:
    """Return the smallest change of one answer, upwards or downwards, that is enough; nothing if none is."""
    file, _, path = key.partition(": ")
    part, model = OPEN[file]
    *steps, last = path.split(".")
    value = functools.reduce(lambda node, step: node[step], [*steps, last], given[part])

    def changed(factor: float) -> float:
        if path.endswith("percent.target"):  # what may fail is what is multiplied
            return 100 - _rounded((100 - value) * factor**-sign, 0.1, -sign)
        return _rounded(value * factor**sign, value, sign)

    def good(factor: float) -> bool:
        raw, new = plain(given[part]), changed(factor)
        functools.reduce(lambda node, step: node[step], steps, raw)[last] = int(new) if new.is_integer() else new
        try:
            return enough(given | {part: leaves(file, model.model_validate(raw).model_dump())})
        except (ValidationError, ZeroDivisionError):  # out of what may be promised at all
            return False

    if not (high := next((factor for factor in TRIED if good(factor)), 0)):
        return []
    low = high / TRIED[0]
    for _ in range(12):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if good(middle) else (middle, high)
    name = path.removesuffix(".target").rpartition(".")[2]
    return [WayOut(high, key, f"{name} {changed(high):.9g} or {'more' if sign > 0 else 'less'}")]


def _rounded(new: float, old: float, sign: int) -> float:
    """Round away from the old value: to a whole number if it was one, else to two digits."""
    unit = 1.0 if float(old).is_integer() else 10.0 ** (math.floor(math.log10(abs(new))) - 1)
    return float(f"{(math.ceil if sign > 0 else math.floor)(round(new / unit, 6)) * unit:.12g}")


def _arithmetic(fact: float) -> str:
    """Say how a number came about, and what it was made of."""
    if not isinstance(fact, Fact) or not (fact.formula or fact.name):
        return f"{fact:.10g}"
    parts = [part for part in fact.named() if part.formula]
    said = " = ".join(each for each in (fact.name, fact.formula, f"{fact:.4g}") if each)
    return said + "".join(f", {part.name} = {part.formula} = {part:.4g}" for part in parts)
