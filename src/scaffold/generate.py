"""Render the template with Copier.

The only module that knows Copier. Copier stays the one engine: what it writes here is, byte for
byte, what `copier copy` writes for the same answers.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from copier._main import Worker
from copier.errors import (
    CopierAnswersInterrupt,
    CopierError,
    DirtyLocalWarning,
    UnsafeTemplateError,
)
from jinja2 import TemplateError
from plumbum import ProcessExecutionError
from plumbum.machines import local

from scaffold.data import Data
from scaffold.emitted import plan, propose
from scaffold.errors import Problem
from scaffold.options import Given, Template
from scaffold.project import identity_environment
from scaffold.report import Draft

ANSWERS_FILE = ".copier-answers.yml"
# Here the planner judges the promises, and says more than a validator can.
JUDGED = {"_judged_by_planner": True}
NO_SUCH_VERSION = ("Unknown revision", "invalid reference", "did not match any file")


def draft(
    template: Template,
    folder: Path,
    given: Given,
    *,
    ask: bool,
    before: Draft | None = None,
    again: str = "",
    data: Data | None = None,
) -> Draft:
    """Render a project into a folder that does not exist yet, fit it to the data, and plan it.

    `ask` runs the whole interview. With `before` and `again`, the answers of an earlier draft are
    kept and only the question `again` is asked anew, and those that its answer brings up.
    """
    if before is None:
        interview: dict[str, Any] = {"data": {**given.values, **JUDGED}, "defaults": not ask}
        interview |= {"user_defaults": data.suggestions()} if data else {}
    else:
        interview = {"data": JUDGED, "user_defaults": before.answers, "defaults": True}
    with _worker(template, folder, interview) as (worker, notes):
        questions = worker.template.questions_data
        given.check(questions)
        if before is not None:
            worker.ask = [again, *(key for key in questions if key not in before.answers)]
        _render(worker, given)
    answers = _recorded(folder)
    if before is None:
        given.check_used(answers)
    proposal = propose(folder, template, data) if data else None
    return Draft(folder, answers, plan(folder, template), notes, proposal)


@contextlib.contextmanager
def _worker(
    template: Template, folder: Path, interview: Mapping[str, Any]
) -> Iterator[tuple[Worker, list[str]]]:
    """Fetch the template, quietly, into a folder that goes when the context ends."""
    notes: list[str] = []
    with (
        local.env(**identity_environment(folder.parent)),
        warnings.catch_warnings(record=True) as caught,
        Worker(
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


def _fetch(worker: Worker, template: Template) -> None:
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
        raise Problem(f"--template {template.source}", f"{found.name} has no copier.yml", way_out)


def _render(worker: Worker, given: Given) -> None:
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


def _recorded(root: Path) -> dict[str, Any]:
    data = yaml.safe_load((root / ANSWERS_FILE).read_text(encoding="utf-8"))
    return {key: value for key, value in data.items() if not key.startswith("_")}


def _unreachable(template: Template, reason: str) -> Problem:
    last = (reason.strip() or "cannot be read").splitlines()[-1]
    if template.ref and any(said in reason for said in NO_SUCH_VERSION):
        way_out = "name a tag, branch or commit of it, or leave --ref out for its newest tag"
        return Problem(f"--ref {template.ref}", f"{template.source} has no such version", way_out)
    way_out = "check the address, and that git can read it"
    return Problem(f"--template {template.source}", last, way_out)
