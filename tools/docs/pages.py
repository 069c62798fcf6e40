"""Pages that are made, not written: what a fact's own home says, and no second text beside it.

Questions come from copier.yml and from what other answers change; stages, verbs and faults from an
emitted project; rules from their docstrings.
"""

import ast
import functools
import re
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import changes
import yaml

from scaffold.checks import catalogue

Pages = Iterator[tuple[str, str]]
STAGES = {  # One word is verb, module and page; what else belongs to it: verbs, then modules.
    "plan": ("why contract contract-diff", "contract infer feasible promises facts"),
    "ingest": ("", "../ingest parse"),
    "validate": ("", ""),
    "featurize": ("", "../features stages history matrix store"),
    "train": ("search", "../train stages search lean"),
    "evaluate": ("", "metrics score"),
    "package": ("card", "releases card"),
    "serve": ("up down deploy status capacity replay", "service front answers inputs predictions"),
    "watch": ("certify budget", "drift certify monitor budget"),
    "retrain": ("staleness", "staleness"),
    "release": ("promote rollback registry push pull gc", "canary releases remote"),
    "rehearse": ("", "rehearse/run rehearse/lab rehearse/traffic rehearse/picture"),
}
VERB = re.compile(r"^([a-z-]+):.*## (.*)$", re.MULTILINE)
LONG = 12  # lines of a diff that are shown


@functools.cache
def pages() -> dict[str, str]:
    """Return every page that is made, in the order of the navigation."""
    with tempfile.TemporaryDirectory() as folder:
        desk = changes.Desk(Path(folder))
        found = dict(questions(changes.flips(desk)))
        project = desk.render({})
        (package,) = project.glob("src/*/production")
        known = yaml.safe_load((package / "rehearse/faults.yaml").read_text(encoding="utf-8"))
        found |= dict(stages(project, package, known["live"] | known["offline"]))
        found |= dict(faults(package / "rehearse", known))
    return found | dict(checks()) | {"decisions/index.md": decisions()}


def questions(flips: list[changes.Flip]) -> Pages:
    """Yield a page for each question: what is asked, and what another answer changes."""
    asked, first = changes.questions(), {flip.key: flip for flip in reversed(flips)}
    rows = [[link(key), code(first[key].before), each["help"]] for key, each in asked.items()]
    yield "questions/index.md", page("The questions", table("key default question", rows))
    for key, each in asked.items():
        given = [f"asked with {code(f'{k}: {v}')}" for k, v in first[key].given.items()]
        facts = " · ".join([f"default: {code(first[key].before)}", *given])
        choices = [[code(value), said] for said, value in each.get("choices", {}).items()]
        mine = [changed(flip) for flip in flips if flip.key == key]
        yield (
            f"questions/{key}.md",
            page(key, each["help"], facts, table("answer is", choices), *mine),
        )


def changed(flip: changes.Flip) -> str:
    """Say what came of another answer: the lines written, and those that follow from them."""
    whole = [code(name) for name, diff in flip.written.items() if not diff]
    parts = [f"## What {code(flip.after)} changes"]
    parts += [shown(name, diff) for name, diff in flip.written.items() if diff]
    parts += [f"Files of its own: {', '.join(whole)}."] if whole else []
    parts += ["`make plan` derives from it:"] if flip.derived else []
    for name, diff in flip.derived.items():
        said = shown(name, diff) if diff else "The whole file."
        parts.append(f'??? note "{name}"\n\n{textwrap.indent(said, "    ")}')
    return "\n\n".join(parts)


def shown(name: str, diff: str) -> str:
    """Return the first lines of a diff."""
    lines = diff.splitlines()
    more = [f"... {len(lines) - LONG} more lines"] if lines[LONG:] else []
    text = "\n".join([*lines[:LONG], *more])
    return f'```diff title="{name}"\n{text}\n```'


def stages(project: Path, package: Path, known: dict[str, Any]) -> Pages:
    """Yield a page for each stage: its verbs and files, what it catches, what its modules say."""
    told = dict(VERB.findall((project / "Makefile").read_text(encoding="utf-8")))
    pipeline = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    rows = []
    for stage, (others, modules) in STAGES.items():
        verbs = [
            [code(f"make {verb}"), told[verb]] for verb in (stage, *others.split()) if verb in told
        ]
        rows.append([link(stage), ", ".join(verb for verb, _ in verbs)])
        own = [stage] if (package / f"{stage}.py").exists() else []
        paths = [(package / f"{name}.py").resolve() for name in [*own, *modules.split()]]
        texts = [
            f"## {code(str(path.relative_to(project)))}\n\n{docstring(path)}" for path in paths
        ]
        caught = [name for name, each in known.items() if re.search(rf"\b{stage}\b", each["by"])]
        said = (
            f"It catches {', '.join(link(name, '../faults/') for name in caught)}."
            if caught
            else ""
        )
        yield (
            f"stages/{stage}.md",
            page(stage, table("verb does", verbs), flow(pipeline, stage), said, *texts),
        )
    yield "stages/index.md", page("The stages", table("stage verbs", rows))


def flow(pipeline: dict[str, Any], stage: str) -> str:
    """Say what a stage of the pipeline reads and writes; nothing if it is none."""
    found = pipeline.get(stage, {})
    sides = {"Reads": found.get("deps", []), "Writes": found.get("outs", [])}
    names = {
        side: [code(next(iter([each] if isinstance(each, str) else each))) for each in all_]
        for side, all_ in sides.items()
    }
    return "  \n".join(f"{side} {', '.join(all_)}." for side, all_ in names.items() if all_)


def faults(rehearse: Path, known: dict[str, dict[str, Any]]) -> Pages:
    """Yield a page for each fault: what dies of it, what catches it, and how it is done."""
    functions = dict(each for path in sorted(rehearse.glob("*.py")) for each in sources(path))
    items = [item for all_ in catalogue.items().values() for item in all_]
    rows = []
    for kind, when in (("live", "on the running stack"), ("offline", "before anything is served")):
        for name, each in known[kind].items():
            rows.append([link(name), each["dies"], each["by"]])
            proven = [link(i.code(), "../checks/") for i in items if name in i.faults.split()]
            facts = [
                ["caught by", each["by"]],
                ["tried", when],
                ["it says", code(each.get("says"))],
            ]
            facts += [["then", each.get("answer")], ["proves", ", ".join(proven)]]
            facts += [[f"needs {what}", why] for what, why in each.get("needs", {}).items()]
            how = each["how"] if "how" in each else functions[name.replace("-", "_")]
            source = how if isinstance(how, str) else "\n".join(map(str, how))
            parts = [
                table("fact said", [fact for fact in facts if fact[1]]),
                "## How",
                fenced(source),
            ]
            yield f"faults/{name}.md", page(name, sentence(each["dies"]), *parts)
    yield "faults/index.md", page("The faults", table("fault dies by", rows))


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


def sources(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each function of a module and its text."""
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, ast.get_source_segment(text, node) or ""


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *(part for part in parts if part)]) + "\n"


def table(heads: str, rows: list[list[Any]]) -> str:
    """Return a table, or nothing if it has no rows."""
    cells = [heads.split(), ["---"] * len(heads.split()), *rows]
    lines = ["| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in cells]
    return "\n".join(lines) if rows else ""


def link(name: str, folder: str = "") -> str:
    return f"[{code(name)}]({folder}{name}.md)"


def code(value: Any) -> str:
    return "" if value in (None, "") else f"`{value}`"


def fenced(text: str) -> str:
    return f"```python\n{text}\n```"


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
