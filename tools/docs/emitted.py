"""Pages about the emitted project: a stage is a verb and its modules, a fault what rehearses it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from markup import Pages, code, fenced, link, page, sentence, table

from scaffold.checks import catalogue

STAGES = {  # One word is verb, module and page; what else belongs to it: verbs, then modules.
    "plan": ("why contract contract-diff", "contract infer feasible promises facts"),
    "ingest": ("", "../ingest columns"),
    "validate": ("", ""),
    "featurize": ("", "../features stages history matrix store"),
    "train": ("search", "../train stages search"),
    "evaluate": ("compare", "metrics score"),
    "package": ("card", "releases card"),
    "serve": ("up down deploy status capacity replay", "service front answers inputs predictions"),
    "watch": ("certify budget", "drift certify monitor budget"),
    "retrain": ("staleness", "staleness"),
    "release": ("promote rollback registry push pull gc", "canary releases remote"),
    "rehearse": ("", "rehearse/run rehearse/lab rehearse/traffic rehearse/picture"),
}
VERB = re.compile(r"^([a-z-]+):.*## (.*)$", re.MULTILINE)


def stages(project: Path) -> Pages:
    """Yield a page for each stage: its verbs and files, what it catches, what its modules say."""
    (package,) = project.glob("src/*/production")
    told = dict(VERB.findall((project / "Makefile").read_text(encoding="utf-8")))
    rows = []
    for stage, (others, modules) in STAGES.items():
        names = [verb for verb in (stage, *others.split()) if verb in told]
        verbs = [[code(f"make {verb}"), told[verb]] for verb in names]
        rows.append([link(stage), ", ".join(verb for verb, _ in verbs)])
        own = [stage] if (package / f"{stage}.py").exists() else []
        paths = [(package / f"{name}.py").resolve() for name in [*own, *modules.split()]]
        texts = [f"## {code(path.relative_to(project))}\n\n{docstring(path)}" for path in paths]
        parts = [table("verb does", verbs), flow(project, stage), caught(package, stage), *texts]
        yield f"stages/{stage}.md", page(stage, *parts)
    yield "stages/index.md", page("The stages", table("stage verbs", rows))


def flow(project: Path, stage: str) -> str:
    """Say what a stage of the pipeline reads and writes; nothing if it is none."""
    pipeline = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    lines = []
    for side, key in (("Reads", "deps"), ("Writes", "outs")):
        each = [
            next(iter([n] if isinstance(n, str) else n))
            for n in pipeline.get(stage, {}).get(key, [])
        ]
        lines += [f"{side} {', '.join(map(code, each))}."] if each else []
    return "  \n".join(lines)


def caught(package: Path, stage: str) -> str:
    """Say which faults a stage claims to catch."""
    known = [each for all_ in declared(package).values() for each in all_.items()]
    names = [name for name, each in known if re.search(rf"\b{stage}\b", each["by"])]
    return f"It catches {', '.join(link(name, '../faults/') for name in names)}." if names else ""


def declared(package: Path) -> dict[str, dict[str, Any]]:
    """Return the faults: those of the running stack, and those before anything is served."""
    return dict(yaml.safe_load((package / "rehearse/faults.yaml").read_text(encoding="utf-8")))


def faults(project: Path) -> Pages:
    """Yield a page for each fault: what dies of it, what catches it, and how it is done."""
    (package,) = project.glob("src/*/production")
    modules = sorted((package / "rehearse").glob("*.py"))
    functions = dict(each for path in modules for each in sources(path))
    items = [item for all_ in catalogue.items().values() for item in all_]
    rows = []
    for kind, all_ in declared(package).items():
        for name, each in all_.items():
            rows.append([link(name), each["dies"], each["by"], kind])
            proven = [link(i.code(), "../checks/") for i in items if name in i.faults.split()]
            facts = {"caught by": each["by"], "says": code(each.get("says"))}
            facts |= {"then": each.get("answer"), "proves": ", ".join(proven)}
            facts |= {f"needs {what}": f"else {why}" for what, why in each.get("needs", {}).items()}
            listed = "\n".join(f"- **{what}**: {said}" for what, said in facts.items() if said)
            done = how(each.get("how", name.replace("-", "_")), functions)
            yield f"faults/{name}.md", page(name, sentence(each["dies"]), listed, "## How", *done)
    yield "faults/index.md", page("The faults", table("fault dies by kind", rows))


def how(told: str | list[str], functions: dict[str, str]) -> list[str]:
    """Show the function that does it; of one that does several, what it is told."""
    if isinstance(told, str):
        return [fenced(functions[told])]
    return [f"`{told[0]}` in `{told[1]}`, and what is put in its place:", *map(fenced, told[2:])]


def sources(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each function of a module and its text."""
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, ast.get_source_segment(text, node) or ""


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
