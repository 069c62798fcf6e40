"""Run what was emitted: its planner judges promises, its inference reads data, its checks check."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from scaffold.data import INCOMING, Data
from scaffold.errors import Problem
from scaffold.options import Template
from scaffold.report import Check, Plan

PLANNER_SECONDS, INFERENCE_SECONDS = 120, 1800
LAST_LINES = 15
PROPOSED = {"task", "id", "time", "target", "rows", "classes", "unlabelled", "columns"}
PROPOSED |= {"not_features", "split", "notes"}


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


def check(root: Path) -> Check | None:
    """Derive what follows from the promises and run the project's checks, if it is set up."""
    makefile = root / "Makefile"
    if not makefile.is_file() or "\ncheck:" not in makefile.read_text(encoding="utf-8"):
        return None
    if not (root / ".venv/ready").exists():
        return Check("make setup plan check test", None)
    ours = ("MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHON", "GIT_")
    shell = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    done = subprocess.run(
        ["make", "plan", "check"],
        cwd=root,
        env=shell,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    last = "\n".join(done.stdout.strip().splitlines()[-LAST_LINES:])
    return Check("make plan check", done.returncode == 0, last if done.returncode else "")


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


def _broken(template: Template, what: str) -> Problem:
    way_out = "mend the template, or choose another version of it with --ref"
    return Problem(f"template {template.source}", what, way_out)
