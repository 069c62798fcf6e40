"""What the user said on the command line: answers, where each came from, and the template."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaffold.data import Data
from scaffold.errors import Problem

PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Template:
    """Where the template is, and which of its versions is wanted (None: its newest tag)."""

    source: str
    ref: str | None
    place: str = "--template"  # Who says so.

    @classmethod
    def chosen(cls, source: str | None, ref: str | None) -> "Template":
        """Take the template that came with us unless the user named one."""
        if source is None:
            return _own(ref)
        local = Path(source).expanduser()
        if local.exists():
            return cls(str(local.resolve()), ref)  # A relative path could never be updated.
        if not _is_address(source):
            way_out = "give a folder or the URL of a Git repository that holds copier.yml"
            raise Problem(f"--template {source}", "does not exist", way_out)
        return cls(source, ref)

    @classmethod
    def recorded(cls, root: Path, source: str, ref: str | None) -> "Template":
        """Take the template that a project records, also by a path that was once relative."""
        place = ".copier-answers.yml: _src_path"
        if _is_address(source):
            return cls(source, ref, place)
        path = Path(source).expanduser()
        for start in (root.parent, root):  # Where `copier copy` was probably typed, and the rest.
            if (found := start / path).exists():
                return cls(str(found.resolve()), ref, place)
        way_out = "write there where the template is now, and commit"
        raise Problem(f"{place} {source}", "does not exist", way_out)


@dataclass(frozen=True)
class Given:
    """Answers that need no question, and for each the place that a message must name."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    preset: str = ""  # Where the other defaults come from: a file of the template.

    @classmethod
    def read(cls, pairs: Iterable[str], file: Path | None, preset: str | None = None) -> "Given":
        """Read `--answers` and then `--data`, which wins; raise Problem on a malformed one."""
        given = cls(preset=preset or "")
        for key, value in _from_file(file).items():
            given.values[key], given.places[key] = value, f"{file}: {key}"
        for pair in pairs:
            key, sign, value = pair.partition("=")
            if not sign or not key.strip():
                raise Problem(f"--data {pair}", "has no key=value", "write e.g. --data peak_rps=80")
            given.values[key.strip()], given.places[key.strip()] = value, f"--data {key.strip()}"
        return given

    def with_data(self, data: Data) -> "Given":
        """Return these answers and those that the data implies, which win."""
        implied = data.answers()
        places = {key: f"--{key.removesuffix('_column')}" for key in implied}
        places["source"] = places["files_path"] = f"--from-data {data.source}"
        return Given({**self.values, **implied}, {**self.places, **places}, self.preset)

    def check(self, questions: Mapping[str, Mapping[str, Any]]) -> None:
        """Raise Problem for a key that nobody asks, or a value of another type than asked."""
        for key, value in self.values.items():
            if key not in questions or questions[key].get("when") is False:
                raise Problem(self.places[key], "no such answer", nearest(key, questions))
            if complaint := _mistyped(value, questions[key]):
                raise Problem(self.places[key], *complaint)

    def check_used(self, answers: Mapping[str, Any]) -> None:
        """Raise Problem for an answer that the others make meaningless."""
        for key in self.values:
            if key not in answers:
                way_out = "leave it out, or change the answer that it hangs on, e.g. source"
                raise Problem(self.places[key], "has no effect with the other answers", way_out)


def preset(folder: Path, name: str, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Read a template's answers for one kind of service; raise Problem if it has none such."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise Problem(f"--preset {name}", "no such preset", _nearest(name, known))
    given = Given.read([], folder / f"{name}.yaml")
    given.check(questions)
    return given.values


def nearest(key: str, questions: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the known answer that looks most like this key."""
    asked = (name for name, details in questions.items() if details.get("when") is not False)
    return _nearest(key, list(asked))


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known) or 'none'}"


def _own(ref: str | None) -> Template:
    """Find the template of this installation: a source checkout's root, or the wheel's bundle."""
    checkout = PACKAGE.parents[1]
    if (checkout / "copier.yml").is_file():
        return Template(str(checkout), ref or "HEAD")
    return Template(str(PACKAGE / "_bundle"), ref)


def _is_address(source: str) -> bool:
    return "://" in source or source.startswith(("git@", "git+", "gh:", "gl:"))


def _from_file(file: Path | None) -> dict[str, Any]:
    """Read a YAML file of answers; keys with an underscore are Copier's own records."""
    if file is None:
        return {}
    import yaml

    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise Problem(f"--answers {file}", reason, "give a YAML file of key: value") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise Problem(str(file), f"is not YAML: {error}", "write one key: value a line") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise Problem(str(file), "holds no answers", "write one key: value a line")
    return {key: value for key, value in data.items() if not key.startswith("_")}


def _mistyped(value: Any, question: Mapping[str, Any]) -> tuple[str, str] | None:
    """Say (what, way out) if the value can't be the answer to this question."""
    wanted, choices = question.get("type", "str"), question.get("choices")
    example = _example(question)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return f"{value!r} is not one value", f"write one, {example}"
    if wanted == "int" and not _converts(int, value):
        return f"{value!r} is not a whole number", f"give one, {example}"
    if wanted == "float" and not _converts(float, value):
        return f"{value!r} is not a number", f"give one, {example}"
    if choices and value not in (options := list(dict(choices).values())):
        return f"{value!r} is not a choice", f"choose {' or '.join(options)}"
    return None


def _example(question: Mapping[str, Any]) -> str:
    """Return the default, or what the validator shows where the default hangs on other answers."""
    default = str(question.get("default", "{{"))
    shown = re.search(r"e\.g\. [^{\s]+", str(question.get("validator", "")))
    return f"e.g. {default}" if "{{" not in default else shown[0] if shown else "see --help"


def _converts(kind: type[int] | type[float], value: str | int | float) -> bool:
    try:
        kind(str(value))  # 1.5 is no whole number, ...
        kind(value)  # ... and a whole number may be too large for any other.
    except (ValueError, OverflowError):
        return False
    return True
