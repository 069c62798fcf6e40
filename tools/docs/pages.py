"""Pages that are made, not written: what a fact's own home says, and no second text beside it.

Questions come from copier.yml and from what other answers change; stages, verbs and faults from an
emitted project; rules from their docstrings.
"""

import functools
import re
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import changes
import emitted
from markup import Pages, code, link, page, table

from scaffold.checks import catalogue

LONG = 12  # lines of a diff that are shown


@functools.cache
def pages() -> dict[str, str]:
    """Return every page that is made, in the order of the navigation."""
    with tempfile.TemporaryDirectory() as folder:
        desk = changes.Desk(Path(folder).resolve())
        found = dict(questions(changes.flips(desk)))
        project = desk.render({})
        found |= {**dict(emitted.stages(project)), **dict(emitted.faults(project))}
    return found | dict(checks()) | {"decisions/index.md": decisions()}


def questions(flips: list[changes.Flip]) -> Pages:
    """Yield a page for each question: what is asked, and what another answer changes."""
    asked, first = changes.questions(), {flip.key: flip for flip in reversed(flips)}
    rows = [[link(key), code(first[key].before), each["help"]] for key, each in asked.items()]
    yield "questions/index.md", page("The questions", table("key default question", rows))
    for key, each in asked.items():
        given = [f"asked with {code(f'{k}: {v}')}" for k, v in first[key].given.items()]
        facts = " · ".join([f"default: {code(first[key].before)}", *given])
        choices = [[code(v), s.partition(": ")[2]] for s, v in each.get("choices", {}).items()]
        mine = [changed(flip) for flip in flips if flip.key == key]
        yield (
            f"questions/{key}.md",
            page(key, each["help"], facts, table("answer is", choices), *mine),
        )


def changed(flip: changes.Flip) -> str:
    """Say what came of another answer: the lines written, and those that follow from them."""
    parts = [f"## What {code(flip.after)} changes"]
    parts += [shown(name, diff) for name, diff in flip.written.items() if diff]
    parts += whole("It comes with", flip.written)
    parts += ["What `make plan` derives from it:"] if any(flip.derived.values()) else []
    for name, diff in ((name, diff) for name, diff in flip.derived.items() if diff):
        parts.append(f'??? note "{name}"\n\n{textwrap.indent(shown(name, diff), "    ")}')
    return "\n\n".join([*parts, *whole("`make plan` derives", flip.derived)])


def whole(what: str, diffs: dict[str, str]) -> list[str]:
    """Name the files that are there with this answer only."""
    names = [code(name) for name, diff in diffs.items() if not diff]
    return [f"{what} {', '.join(names)}."] if names else []


def shown(name: str, diff: str) -> str:
    """Return the first lines of a diff."""
    lines = diff.splitlines()
    more = [f"... {len(lines) - LONG} more lines"] if lines[LONG:] else []
    text = "\n".join([*lines[:LONG], *more])
    return f'```diff title="{name}"\n{text}\n```'


def checks() -> Pages:
    """Yield a page for each rule, from its docstring."""
    groups: dict[str, list[Any]] = {**catalogue.items(), "ours": catalogue.guards()}
    parts = [catalogue.HEAD.partition("\n")[2].rpartition(" This page is")[0]]
    for name, rules in groups.items():
        rows = [[link(rule.code()), rule.title()] for rule in rules]
        parts.append(f"## {name.capitalize()}\n\n{table('rule title', rows)}")
    yield "checks/index.md", page("The checks", *parts)
    for name, rule in catalogue.rules().items():
        text = catalogue.section(rule).partition("\n")[2]
        said = re.sub(r"`(\S+)` caught", r"[`\1`](../faults/\1.md) caught", text)
        yield f"checks/{name}.md", page(name, said)


def decisions() -> str:
    """Return the list of the decisions."""
    paths = sorted((changes.ROOT / "docs/decisions").glob("*.md"))
    titles = [
        path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for path in paths
    ]
    lines = [f"- [{title}]({path.name})" for path, title in zip(paths, titles, strict=True)]
    return page("The decisions", "\n".join(lines))
