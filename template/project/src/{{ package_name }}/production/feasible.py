"""What the promises must leave room for, given how the stack works; and the nearest promises that do."""

import functools
import math
from collections.abc import Set
from typing import NamedTuple

from pydantic import ValidationError

from . import config
from .facts import Fact, Story, leaves, plain, sources
from .promises import CARD, CONTRACT, Facts, Price, Reads, follow, formulas, work_out

OPEN: dict[str, tuple[str, type[config.Strict]]] = {  # what its owner may change
    "slo.yaml": ("slo", config.Slo),
    "ops/prices.yaml": ("price", Price),
    CONTRACT: ("reads", Reads),
}
TRIED = [2 ** (k / 4) for k in range(1, 61)]  # factors, until one is enough: the nearest is then looked for


class WayOut(NamedTuple):
    factor: float  # by which an answer changes, above 1
    where: str
    text: str


def broken(given: Facts) -> dict[str, tuple[float, float]]:
    """Return what happens, for each limit that does not hold, and the numbers that would have to be in order."""
    facts, limits = follow(given), dict(formulas("limits"))
    limits |= (formulas("gpu_limits") if given["gpu"] else {}) | (formulas("encoder_limits") if given["reads"] else {})
    sides = {what: [work_out(side, facts) for side in limit.split("<=")] for what, limit in limits.items()}
    return {what: (least, most) for what, (least, most) in sides.items() if least > most}


def conflicts(given: Facts) -> list[dict[str, str]]:
    """Return each limit that is broken: the smallest set of answers that break it, the arithmetic, the ways out."""
    found, breaks = [], broken(given)
    for what, (least, most) in breaks.items():
        stories = [part.story for part in (least, most) if isinstance(part, Fact)]
        keys = sorted(key for key in sources(stories) if key.partition(": ")[0] in OPEN)
        others = breaks.keys() - {what}  # may stay broken
        ways = [way for key in keys for sign in (1, -1) for way in _way_out(given, key, sign, others)]
        ways.sort(key=lambda way: (not way.where.startswith("slo.yaml"), way.factor))  # the promises first
        # Answers that change nothing by themselves are no part of the conflict.
        clash = list(dict.fromkeys(way.where for way in ways)) or keys
        told = f"{what}: {_arithmetic(least)} is more than {_arithmetic(most)}"
        beside = f" (with {', '.join(each.partition(': ')[2] for each in clash[1:])})" if clash[1:] else ""
        texts = [*_larger_card(given, what, stories), *(way.text for way in ways[:3])]
        way_out = " or ".join(texts) or f"change {' and '.join(clash)}"
        found.append({"where": clash[0], "what": f"{told}{beside}", "way_out": way_out})
    return found


def _way_out(given: Facts, key: str, sign: int, others: Set[str]) -> list[WayOut]:
    """Return the smallest change of one answer, upwards or downwards, that leaves `others` broken at most, if any."""
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
            return broken(given | {part: leaves(file, model.model_validate(raw).model_dump())}).keys() <= others
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


def _larger_card(given: Facts, what: str, stories: list[Story]) -> list[str]:
    """Return the whole card with the least memory that would do, where memory is what lacks."""
    if f"{CARD}: memory_mib" not in sources(stories) or what not in formulas("gpu_limits"):
        return []
    for card, memory_mib in sorted(given["gpu"]["cards"].items(), key=lambda each: float(each[1])):
        other = plain(given["gpu"]) | {"memory_mib": plain(memory_mib), "memory_eighths": 8}
        if what not in broken(given | {"gpu": leaves(CARD, other)}):
            return [f"gpu {card}, the smallest card that holds it"]
    return []


def _rounded(new: float, old: float, sign: int) -> float:
    """Round away from the old value: to a whole number if it was one and there is one, else to two digits."""
    unit = 1.0 if float(old).is_integer() and abs(new) >= 1 else 10.0 ** (math.floor(math.log10(abs(new))) - 1)
    return float(f"{(math.ceil if sign > 0 else math.floor)(round(new / unit, 6)) * unit:.12g}")


def _arithmetic(fact: float) -> str:
    """Say how a number came about, and what it was made of."""
    if not isinstance(fact, Fact):
        return f"{fact:.10g}"
    story = fact.story
    said = " = ".join(each for each in (story["name"], story.get("formula"), f"{fact:.4g}") if each)
    parts = [part for part in story.get("of", []) if "formula" in part]
    return said + "".join(f", {part['name']} = {part['formula']} = {part['value']:.4g}" for part in parts)
