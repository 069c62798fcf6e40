"""Numbers that remember where they come from: `2 * peak` knows that it is 2 x peak_rps, and who promised that.

A template that prints one leaves a note in the text; `settle` takes the notes out and tells them line by line.
"""

import json
import operator
import re
from collections.abc import Callable
from typing import Any

NOTE = re.compile("\x01([^\x02]*)\x02")
BRACKETS = {"+": ("", "+-/"), "-": ("", "+-x/"), "x": ("+-", "+-/"), "/": ("+-", "+-x/")}  # on its left, on its right
Story = dict[str, Any]  # name, value, and either source (file: key) or formula and the stories that it is made of


class Fact(float):
    """A number with its story; arithmetic makes new facts."""

    story: Story
    sign = ""  # of its formula's last step: it may need brackets inside another

    def __str__(self) -> str:
        return note(self.story) + f"{self:.10g}"

    def __format__(self, spec: str) -> str:
        return format(float(self), spec or ".10g")


def fact(name: str, value: float, **come: Any) -> Fact:
    """Return a number with a name, or "", and where it comes from: `source`, or `formula` and `of`."""
    found = Fact(value)
    found.story = {"name": name, "value": float(value), **come}
    return found


def made(formula: str, value: float, *parts: Any, name: str = "") -> Fact:
    """Return what a formula gave; it remembers the named facts in its parts."""
    of: dict[str, Story] = {}
    for story in [part.story for part in parts if isinstance(part, Fact)]:
        of |= {each["name"]: each for each in ([story] if story["name"] else story["of"])}
    return fact(name, float(f"{value:.12g}"), formula=formula, of=list(of.values()))  # 1 - 0.9 is 0.1


def called(name: str, value: float) -> Fact:
    """Return the number under a name, by which formulas above speak of it."""
    return made(_bare(value), value, value, name=name)


def call(function: Callable[..., float], *values: float) -> Fact:
    """Apply math.ceil, max and their like, and remember it."""
    return made(f"{function.__name__}({', '.join(map(_bare, values))})", function(*map(float, values)), *values)


def short(value: float, digits: int = 3) -> Fact:
    """Round for people; the formula stays."""
    return made(_bare(value), float(f"{float(value):.{digits}g}"), value)


def _bare(value: float) -> str:
    return (value.story["name"] or value.story["formula"]) if isinstance(value, Fact) else f"{value:.10g}"


def _arithmetic(sign: str, work: Callable[[float, float], float], flipped: bool = False) -> Callable[..., Fact]:
    before, after = BRACKETS[sign]

    def operate(self: Fact, other: float) -> Fact:
        left, right = (other, self) if flipped else (self, other)
        formula = f"{_term(left, before)} {sign} {_term(right, after)}"
        found = made(formula, work(float(left), float(right)), left, right)
        found.sign = sign
        return found

    return operate


def _term(value: float, weaker: str) -> str:
    bracket = isinstance(value, Fact) and value.sign and value.sign in weaker and not value.story["name"]
    return f"({_bare(value)})" if bracket else _bare(value)


for _name, _sign in {"add": "+", "sub": "-", "mul": "x", "truediv": "/"}.items():
    setattr(Fact, f"__{_name}__", _arithmetic(_sign, getattr(operator, _name)))
    setattr(Fact, f"__r{_name}__", _arithmetic(_sign, getattr(operator, _name), flipped=True))


def leaves(source: str, node: Any, path: str = "") -> Any:
    """Return what a YAML file holds with each number as a fact and each text under a note; names end the path."""
    if isinstance(node, dict):
        return {key: leaves(source, value, f"{path}.{key}".lstrip(".")) for key, value in node.items()}
    name, where = path.removesuffix(".target").rpartition(".")[2], f"{source}: {path}"
    if isinstance(node, str):
        return note({"name": name, "value": node, "source": where}) + node
    return fact(name, node, source=where) if isinstance(node, (int, float)) else node


def note(story: Story) -> str:
    return f"\x01{json.dumps(story)}\x02"


def notes(text: str) -> str:
    """Return the notes of a text without the text, to put before another that follows from it."""
    return "".join(found[0] for found in NOTE.finditer(text))


def plain(value: Any) -> Any:
    """Return a text or number, or all in a dict or list, without its past; whole numbers as int."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return NOTE.sub("", value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else float(f"{value:.10g}")
    return value


def settle(text: str) -> tuple[str, list[list[Story]]]:
    """Return the text without notes, and per line what its numbers and names follow from."""
    lines = text.split("\n")
    return NOTE.sub("", text), [[json.loads(found) for found in NOTE.findall(line)] for line in lines]


def sources(stories: list[Story]) -> set[str]:
    """Return the leaves of stories, each as `file: key`."""
    found = {story["source"] for story in stories if "source" in story}
    return found.union(*(sources(story.get("of", [])) for story in stories))
