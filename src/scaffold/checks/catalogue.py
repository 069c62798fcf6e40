"""Every rule by its code, and the page that explains them, made from their docstrings."""

import difflib
import re
import textwrap
from collections.abc import Iterable

from scaffold.checks import alerts, data, infrastructure, model, monitoring, upkeep, wiring
from scaffold.checks.rule import Guard, Item, Rule
from scaffold.errors import Problem

SECTIONS = {
    "data": data,
    "model": model,
    "infrastructure": infrastructure,
    "monitoring": monitoring,
}
WIDTH = 100
CODE = re.compile(r"[A-Z]+\d+")
HEAD = """\
# The checks

`scaffold check` reads a repository and runs nothing of it. 28 rules are the items of the ML Test
Score (Breck, Cai, Nielsen, Salib and Sculley, *The ML Test Score: A Rubric for ML Production
Readiness and Technical Debt Reduction*, IEEE Big Data 2017): each gives 0, 0.5 (done by hand, or
only declared) or 1 (done by machine), a section is the sum of its seven, and the score is the
smallest of the four sections.

- **Our repos** are judged by what runs have said: `reports/rehearsal.json`, `reports/tests.xml`,
  `reports/evaluate.json`. A file alone is worth half a point, and what a run has seen to fail is
  worth none.
- **Any other repo** is judged by signs: a word of its code, a path, a test. A sign is worth half a
  point; a whole one needs a test that CI runs. Signs can be wrong in both ways: read where they
  were found.

The rules `SC...` are ours. An `error` is something broken and makes the exit code 1, a `warning` is
a risk, a `note` is what lacks. This page is `scaffold check --explain all`.
"""


def items() -> dict[str, list[type[Item]]]:
    """The items of the ML Test Score, by section."""
    found = {name: list(vars(module).values()) for name, module in SECTIONS.items()}
    return {name: [each for each in all_ if _is(each, Item)] for name, all_ in found.items()}


def guards() -> list[type[Guard]]:
    found = [each for module in (alerts, wiring, upkeep) for each in vars(module).values()]
    return sorted((each for each in found if _is(each, Guard)), key=lambda guard: guard.code())


def rules() -> dict[str, type[Rule]]:
    scored: list[type[Rule]] = [item for section in items().values() for item in section]
    return {rule.code(): rule for rule in [*scored, *guards()]}


def chosen(words: Iterable[str], option: str) -> set[str]:
    """Return the codes that begin with one of these words: "SC", "DATA2,SC009"."""
    known, found = rules(), set()
    for word in (each.strip().upper() for text in words for each in text.split(",")):
        matching = {code for code in known if word and code.startswith(word)}
        if not matching:
            near = difflib.get_close_matches(word, known, n=1)
            way_out = f"did you mean {near[0]}?" if near else "see scaffold check --explain all"
            raise Problem(f"{option} {word}", "no rule has such a code", way_out)
        found |= matching
    return found


def explained(code: str) -> str:
    """Return the section of one rule, or the whole page for "all"."""
    if code.lower() == "all":
        scored = [
            f"## {name.capitalize()}\n\n" + "\n".join(map(section, all_))
            for name, all_ in items().items()
        ]
        return "\n".join([HEAD, *scored, "## Ours\n", *map(section, guards())])
    found = chosen([code], "--explain")
    return "\n".join(section(rule) for code, rule in rules().items() if code in found)


def section(rule: type[Rule]) -> str:
    """Return what the page says of one rule."""
    head, level = f"### {rule.code()}\n", f" ({rule.level})" if issubclass(rule, Guard) else ""
    looked = rule.looked_for() if issubclass(rule, Item) else []
    parts = [f"**{rule.title()}.**{level} {rule.why()}", *looked, f"Way out: {rule.way_out()}."]
    wrapped = (
        textwrap.fill(part, WIDTH, break_long_words=False, break_on_hyphens=False) for part in parts
    )
    return "\n".join([head, *(f"{part}\n" for part in wrapped)])


def _is(each: object, kind: type[Rule]) -> bool:
    return isinstance(each, type) and issubclass(each, kind) and bool(CODE.fullmatch(each.__name__))
