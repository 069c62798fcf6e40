"""Copier, behind a few functions: the only module that knows it.

Copier stays the one engine: what it writes here is, byte for byte, what `copier copy` writes for
the same answers.
"""

import contextlib
import io
import os
import re
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from copier._main import Worker, as_operation
from copier._tools import cast_to_bool
from copier.errors import (
    CopierAnswersInterrupt,
    CopierError,
    DirtyLocalWarning,
    UnsafeTemplateError,
)
from jinja2 import Template as Compiled
from jinja2 import TemplateError
from packaging.version import InvalidVersion, Version
from plumbum import ProcessExecutionError
from plumbum.machines import local

from scaffold.errors import Problem
from scaffold.options import Given, Template, preset
from scaffold.project import ANSWERS_FILE, identity_environment

# Here the planner judges the promises, and says more than a validator can.
JUDGED = {"_judged_by_planner": True}
PRESETS = "template/presets"
NO_SUCH_VERSION = ("Unknown revision", "invalid reference", "did not match any file")


class Engine(Worker):
    """Copier's worker without what takes most of its time and is of no use in a fresh folder."""

    def _sync_git_index_executable_bit(self, dst_relpath: Path, src_mode: int) -> None:
        """Leave an index alone that is not there: Copier calls git for each file."""

    def _render_string(self, string: str, extra_context: dict[str, Any] | None = None) -> str:
        """Leave what holds no tag as it is: Copier compiles each part of each path, each time."""
        env = self.jinja_env
        env.preprocess(string)  # Copier's loop over paths ends here, as it does when it compiles.
        marks = (env.variable_start_string, env.block_start_string, env.comment_start_string)
        plain = not any(mark in string for mark in (*marks, "\n", "\r"))
        if plain and not env.line_statement_prefix and not env.line_comment_prefix:
            return string
        return self._compiled(string).render(**self._render_context(), **(extra_context or {}))

    @cached_property
    def _compiled(self) -> Callable[[str], Compiled]:
        return cache(self.jinja_env.from_string)

    @cached_property
    def answers_relpath(self) -> Path:
        """Copier renders this name anew for each part of each path."""
        return super().answers_relpath


@contextlib.contextmanager
def fetched(
    template: Template, folder: Path, interview: Mapping[str, Any]
) -> Iterator[tuple[Engine, list[str]]]:
    """Fetch the template, quietly, into a folder that goes when the context ends."""
    notes: list[str] = []
    with (
        local.env(**identity_environment(folder.parent)),
        warnings.catch_warnings(record=True) as caught,
        Engine(
            src_path=template.source,
            dst_path=folder,
            vcs_ref=template.ref,
            quiet=True,
            **interview,
        ) as worker,
    ):
        warnings.simplefilter("always")
        _fetch(worker, template)
        if any(issubclass(warning.category, DirtyLocalWarning) for warning in caught):
            notes.append("the template has changes that are not committed: they are included")
        yield worker, notes


@contextlib.contextmanager
def sibling(worker: Engine, checkout: Path, folder: Path) -> Iterator[Engine]:
    """Lend a worker for another state of the same template, which is not fetched again."""
    engine = Engine(
        src_path=worker.src_path, dst_path=folder, data=dict(JUDGED), defaults=True, quiet=True
    )
    with engine:
        vars(engine.template)["local_abspath"] = checkout.resolve()
        try:
            engine.template.config_data  # noqa: B018  # Read it now, where it can be explained.
        except CopierError as error:
            where, way_out = f"template {worker.src_path}", "install the Copier that it asks for"
            raise Problem(where, f"cannot be read: {error}", way_out) from error
        yield engine


def answer(worker: Engine, answers: Mapping[str, Any]) -> None:
    """Give the answers that this version of the template asks for."""
    questions = worker.template.questions_data
    worker.data.update({key: value for key, value in answers.items() if key in questions})


def suggest(worker: Engine, named: str) -> None:
    """Take the answers of a preset of the template for defaults."""
    folder = worker.template.local_abspath / PRESETS
    worker.user_defaults.update(preset(folder, named, worker.template.questions_data))


def version(worker: Engine) -> Version | None:
    """Return the version; that of a tag without the ten calls of git that it takes otherwise."""
    commit = str(worker.template.commit)
    if "." in commit:  # Not the id of a commit, which may be all digits.
        with contextlib.suppress(InvalidVersion):
            vars(worker.template)["version"] = Version(commit)
    return worker.template.version


@as_operation("update")
def seeded(worker: Engine) -> Callable[[Path], bool]:
    """Return the manifest's word on which paths no update touches."""
    vars(worker).pop("match_exclude", None)  # It was cached for the operation `copy`.
    return worker.match_exclude


def migrate(new: Engine, old: Engine, stage: str, root: Path) -> list[str]:
    """Run in this folder the migrations of the versions crossed; return which ran.

    They are those that `copier update` would run at this stage, `before` or `after` the merge.
    """
    ran = []
    for task in new.template.migration_tasks(stage, old.template):  # type: ignore[arg-type]
        facts = {f"_{key}": value for key, value in task.extra_vars.items()}
        if not cast_to_bool(new._render_value(task.condition, facts)):
            continue
        parts = [task.cmd] if isinstance(task.cmd, str) else task.cmd
        command = [new._render_string(str(part), facts) for part in parts]
        done = subprocess.run(
            command[0] if isinstance(task.cmd, str) else command,
            shell=isinstance(task.cmd, str),
            cwd=root / new._render_string(str(task.working_directory), facts),
            env={**os.environ, **{key[1:].upper(): str(value) for key, value in facts.items()}},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        name = str(task.extra_vars.get("version_current", new.template.commit))
        if done.returncode:
            last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
            raise Problem(f"migration {name}", last, "mend the template, or choose --ref")
        ran.append(name)
    return ran


def _fetch(worker: Engine, template: Template) -> None:
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # Copier would say which tag it lacks.
            found = worker.template.local_abspath
            questions = worker.template.questions_data
    except ProcessExecutionError as error:
        raise _unreachable(template, str(error.stderr)) from error
    except (CopierError, ValueError, OSError) as error:
        raise _unreachable(template, str(error)) from error
    if not questions:
        way_out = "give a folder or the URL of a Git repository that holds copier.yml"
        raise Problem(
            f"{template.place} {template.source}", f"{found.name} has no copier.yml", way_out
        )


def render(worker: Engine, given: Given) -> None:
    """Ask and write; Copier's exceptions become problems with a place and a way out."""
    try:
        worker.run_copy()
    except CopierAnswersInterrupt:
        raise KeyboardInterrupt from None
    except UnsafeTemplateError as error:
        way_out = "it runs code of its own: use copier copy --trust if you trust it"
        raise Problem(str(worker.src_path), str(error), way_out) from error
    except ValueError as error:
        raise _bad_answer(str(error), given) from error
    except (CopierError, TemplateError, OSError) as error:
        raise Problem(
            str(worker.src_path), f"cannot be rendered: {error}", "mend the template"
        ) from error


def _bad_answer(message: str, given: Given) -> Problem:
    """Turn Copier's complaint about an answer into what, where and the way out."""
    found = re.match(r"Validation error for question '(\w+)': (.*)", message, re.DOTALL)
    if not found:
        return Problem("the answers", message, "see the questions in copier.yml")
    key, advice = found.groups()
    value = given.values.get(key)
    what = "is not valid" if value is None else f"{value!r} is not valid"
    return Problem(given.places.get(key, key), what, advice)


def recorded(root: Path) -> dict[str, Any]:
    data = yaml.safe_load((root / ANSWERS_FILE).read_text(encoding="utf-8"))
    return {key: value for key, value in data.items() if not key.startswith("_")}


def _unreachable(template: Template, reason: str) -> Problem:
    last = (reason.strip() or "cannot be read").splitlines()[-1]
    if template.ref and any(said in reason for said in NO_SUCH_VERSION):
        way_out = "name a tag, branch or commit of it, or leave --ref out for its newest tag"
        return Problem(f"--ref {template.ref}", f"{template.source} has no such version", way_out)
    way_out = "check the address, and that git can read it"
    return Problem(f"{template.place} {template.source}", last, way_out)
