"""What an answer changes: the project is rendered with and without it, and the two are compared."""

import difflib
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment

from scaffold.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
RECORD = ".copier-answers.yml"
# What brings up a question that no single choice does.
TOGETHER = [
    {"model": "text", "encoder": "encoder/own"},
    {"model": "text", "gpu": "h100", "gpu_usd_per_hour": 3, "cost_per_1000": 1},
    {
        **{"model": "text", "gpu": "h100", "gpu_usd_per_hour": 3, "cost_per_1000": 1},
        **{"target": "kubernetes"},
    },
]
# A card has a price that nobody else knows.
PRICED = {"gpu": {"model": "text", "gpu_usd_per_hour": 3, "cost_per_1000": 10}}
# What else a free text may be, where the library to install depends on it.
ALSO = {"remote_url": ["s3://bucket/versions"], "gpu_slice": ["1g.10gb"]}
# The emitted planner, once for all projects that have the same one: what it derives, by folder.
PLAN = """
import importlib, json, os, sys
plan = importlib.import_module(sys.argv[1] + ".production.plan")
found = {}
for folder in sys.argv[2:]:
    os.chdir(folder)
    lines = plan.derived(plan.follow(plan.inputs()))
    found[folder] = {path: text for path, (text, _) in lines.items()}
print(json.dumps(found))
"""


@dataclass
class Flip:
    """One question answered in another way, and what came of it."""

    key: str
    before: Any
    after: Any
    given: dict[str, Any]  # What had to be answered for the question to be asked.
    written: dict[str, str] = field(default_factory=dict)  # path -> its diff; "" is a whole file
    derived: dict[str, str] = field(default_factory=dict)


def questions() -> dict[str, dict[str, Any]]:
    """Return what is asked: every question that is not wholly hidden."""
    found = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    shown = {key: each for key, each in found.items() if not key.startswith("_")}
    return {key: each for key, each in shown.items() if each.get("when") is not False}


def needs(question: dict[str, Any]) -> dict[str, Any]:
    """Return the first choice with which this question is asked; nothing if it always is."""
    condition = Environment().from_string(str(question.get("when", "True")))
    asked = questions()
    defaults = {key: each["default"] for key, each in asked.items()}
    choices = [(k, v) for k, each in asked.items() for v in each.get("choices", {}).values()]
    options = [{}, *({key: value} for key, value in choices), *TOGETHER]
    return next(each for each in options if condition.render({**defaults, **each}) == "True")


def others(key: str, question: dict[str, Any], default: Any) -> list[list[Any]]:
    """Return other answers worth a look; of each list the first that is valid."""
    if "choices" in question:
        return [[each] for each in question["choices"].values() if each != default]
    if isinstance(default, str):
        return [[f"{default}-2"], *([each] for each in ALSO.get(key, []))]
    if isinstance(default, bool):
        return [[not default]]
    kind = type(default)
    return [[kind(default * 2), kind(default / 2), round(default * 0.95, 3)]]


def flips(desk: "Desk") -> list[Flip]:
    """Answer each question in another way, and say what that changes."""
    found = list(_flipped(desk))
    derived = _derived([*desk.done.values()])
    for flip in found:
        one, other = desk.render(flip.given), desk.render({**flip.given, flip.key: flip.after})
        flip.written = _differences(_read(one), _read(other))
        flip.derived = _differences(derived[one], derived[other])
    return found


class Desk:
    """Renders the template into a folder, once for each set of answers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.template = folder, folder / "template"
        self.done: dict[str, Path] = {}
        shutil.copytree(ROOT / "template", self.template / "template")  # No history, no clone.
        shutil.copy(ROOT / "copier.yml", self.template)

    def render(self, answers: dict[str, Any]) -> Path:
        """Return the project; raise ValueError if an answer is not valid."""
        key = json.dumps(answers, sort_keys=True)
        if key not in self.done:
            place = self.folder / str(len(self.done))
            with Engine(
                str(self.template), place, data=answers, defaults=True, quiet=True
            ) as worker:
                worker.run_copy()
            self.done[key] = place
        return self.done[key]


def _flipped(desk: Desk) -> Iterator[Flip]:
    for key, question in questions().items():
        given = PRICED.get(key) or needs(question)
        recorded = yaml.safe_load((desk.render(given) / RECORD).read_text(encoding="utf-8"))
        for candidates in others(key, question, recorded.get(key, question["default"])):
            valid = [each for each in candidates if _valid(desk, {**given, key: each})]
            yield from (Flip(key, recorded.get(key), after, given) for after in valid[:1])


def _valid(desk: Desk, answers: dict[str, Any]) -> bool:
    try:
        return desk.render(answers).is_dir()
    except ValueError:
        return False


def _read(root: Path) -> dict[str, str]:
    paths = [path for path in root.rglob("*") if path.is_file() and path.name != RECORD]
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    package = next(root.glob("src/*/production")).parent.name
    return {name.replace(package, "late_flights"): text for name, text in texts.items()}


def _derived(folders: list[Path]) -> dict[Path, dict[str, str]]:
    """Let the emitted planners say what follows; those that are alike run as one."""
    alike = defaultdict(list)
    for folder in folders:
        (package,) = folder.glob("src/*/production")
        names = sorted(path.relative_to(package).as_posix() for path in package.rglob("*"))
        alike[(package.parent.name, *names)].append(str(folder))
    found: dict[Path, dict[str, str]] = {}
    for (name, *_), group in alike.items():
        environment = {**os.environ, "PYTHONPATH": f"{group[0]}/src"}
        command = [sys.executable, "-B", "-c", PLAN, name, *group]
        done = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        found |= {Path(key): texts for key, texts in json.loads(done.stdout).items()}
    return found


def _differences(one: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    """Return the diff of each file that differs; of one that comes or goes, its whole is it."""
    changed = sorted(name for name in one | other if one.get(name) != other.get(name))
    return {name: _lines(one.get(name), other.get(name)) for name in changed}


def _lines(one: str | None, other: str | None) -> str:
    if one is None or other is None:
        return ""
    lines = list(difflib.unified_diff(one.splitlines(), other.splitlines(), n=0, lineterm=""))
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))
