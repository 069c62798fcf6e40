"""Render the template with Copier, and let the emitted planner judge the answers.

The only module that knows Copier. Copier stays the one engine: what it writes here is, byte for
byte, what `copier copy` writes for the same answers.
"""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
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

from scaffold.data import INCOMING, Data
from scaffold.errors import Problem
from scaffold.options import Given, Template
from scaffold.project import identity_environment
from scaffold.report import Draft, Plan

ANSWERS_FILE = ".copier-answers.yml"
PLANNER_SECONDS, INFERENCE_SECONDS = 120, 1800
PROPOSED = {"task", "id", "time", "target", "rows", "classes", "unlabelled", "columns"}
PROPOSED |= {"not_features", "split", "notes"}
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


def propose(root: Path, template: Template, data: Data) -> dict[str, Any]:
    """Let the emitted inference read the data, and write the contract and the split it suggests."""
    data.deliver(root / INCOMING)
    done = _run_emitted(root, "contract", INFERENCE_SECONDS)
    last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
    if done.returncode == 1 and "Traceback" not in done.stderr:
        raise _unfit(last, data)
    try:
        found = json.loads(done.stdout)
        if done.returncode or not found.keys() >= PROPOSED:
            raise ValueError(last)
    except (ValueError, AttributeError) as error:
        raise _broken(template, f"its inference failed: {last}") from error
    return dict(found)


def _unfit(line: str, data: Data) -> Problem:
    """Turn a line of the emitted repo, `where: what; way out`, into a problem of this command."""
    where, _, rest = line.partition(": ")
    what, _, way_out = rest.rpartition("; ")
    if where == "contract":  # The file that it names as the way out is not written.
        why = what.partition("(")[2].rstrip(")")
        return Problem(f"--from-data {data.source}", f"cannot be read: {why}", "mend the data")
    return Problem(where, what, way_out)


def plan(root: Path, template: Template) -> Plan:
    """Run the emitted planner on a copy of the project, which it may write to."""
    scratch = root.parent / f"{root.name}.plan"
    shutil.copytree(root, scratch, symlinks=True, ignore=shutil.ignore_patterns("data"))
    try:
        done = _run_emitted(scratch, "plan", PLANNER_SECONDS)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    try:
        result = Plan.from_json(done.stdout)
        result.rows()  # Half a plan is none: fail here, not where it is shown.
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        last = (done.stderr.strip() or f"its answer is no plan ({error})").splitlines()[-1]
        raise _broken(template, f"its planner failed: {last}") from error
    agrees = result.feasible == (done.returncode == 0) == (not result.problems)
    if done.returncode not in (0, 1) or not agrees:
        raise _broken(template, f"its planner contradicts itself (exit code {done.returncode})")
    return result


def explain(root: Path, what: str) -> str:
    """Let the emitted planner say, as JSON, what a line of a derived file follows from."""
    if not list(root.glob("src/*/production/plan.py")):
        way_out = "change to the folder that scaffold new made"
        raise Problem(str(root), "is not the root of an emitted project", way_out)
    done = _run_emitted(root, "why", PLANNER_SECONDS, what)
    if done.returncode:
        where, _, rest = (done.stderr.strip() or "why: no answer").splitlines()[-1].partition(": ")
        told, _, way_out = rest.rpartition("; ")
        raise Problem(where, told, way_out)
    return done.stdout.strip()


def _run_emitted(
    root: Path, verb: str, seconds: int, *words: str
) -> subprocess.CompletedProcess[str]:
    packages = [path.parent.parent for path in root.glob("src/*/production/__main__.py")]
    name = packages[0].name if packages else "package"
    environment = {**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONUTF8"] = "1"  # Names of columns are in any language.
    command = [sys.executable, "-m", f"{name}.production", verb, "--json", *words]
    try:
        return subprocess.run(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        late = f"no answer within {seconds} s"
        return subprocess.CompletedProcess(command, 124, stdout="", stderr=late)


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


def _broken(template: Template, what: str) -> Problem:
    way_out = "mend the template, or choose another version of it with --ref"
    return Problem(f"template {template.source}", what, way_out)
