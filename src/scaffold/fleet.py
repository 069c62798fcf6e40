"""Many projects at once: how each stands, and their updates as branches."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

from packaging.version import InvalidVersion, Version

from scaffold.errors import Problem
from scaffold.options import Template
from scaffold.project import ANSWERS_FILE, git
from scaffold.report import Standing
from scaffold.repository import Repository
from scaffold.update import recorded_answers

AT_ONCE, FETCH_SECONDS = 4, 30
NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")  # They may need what only the user's tree has.


def standings(folders: Iterable[Path], branches: bool) -> list[Standing]:
    """Say how each project stands that is one of these folders, or lies in one.

    With `branches`, each that is behind gets its update as a commit on a branch of its own.
    """
    roots = _projects(folders)
    if not roots:
        way_out = f"name folders that hold a {ANSWERS_FILE}, or folders of such"
        raise Problem(" ".join(map(str, folders)), "no project is there", way_out)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(_standing, roots))
        return list(pool.map(_with_branch, found)) if branches else found


def _projects(folders: Iterable[Path]) -> list[Path]:
    found = []
    for folder in folders:
        below = sorted(path.parent for path in folder.glob(f"*/{ANSWERS_FILE}"))
        found += [folder] if (folder / ANSWERS_FILE).is_file() else below
    return found


def _standing(root: Path) -> Standing:
    try:
        repository = Repository.around(root)
        recorded = recorded_answers(repository, repository.head())
        version, source = str(recorded["_commit"]), str(recorded["_src_path"])
        uncommitted = len(repository.uncommitted())
        known = Standing(root, version, "", uncommitted, _rehearsed(root))
        template = Template.recorded(root.absolute(), source, None)
        return replace(known, newest=_newest(template.source))
    except Problem as problem:
        return Standing(root, "", problem=str(problem))


@cache
def _newest(source: str) -> str:
    """Return the newest version that a template has, by its tags, as Copier would choose it."""
    words = ["git", "ls-remote", "--tags", "--refs", source.removeprefix("git+")]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=FETCH_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return ""
    tags: dict[Version, str] = {}
    for tag in (row.rpartition("refs/tags/")[2] for row in done.stdout.splitlines()):
        try:
            tags[Version(tag)] = tag
        except InvalidVersion:
            continue
    whole = [version for version in tags if not version.is_prerelease] or [*tags]
    return tags[max(whole)] if whole else ""


def _rehearsed(root: Path) -> str:
    try:
        told = json.loads((root / "reports/rehearsal.json").read_text(encoding="utf-8"))
        day = time.strftime("%Y-%m-%d", time.localtime(told["started"]))
        return f"{told['caught']} of {told['apply']}, {day}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _with_branch(standing: Standing) -> Standing:
    """Update a project in a work tree of its own, and leave the result on a branch."""
    if not standing.behind or standing.problem:
        return standing
    branch = f"scaffold-{standing.newest}"
    repository = Repository.around(standing.root)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / repository.top.name
        try:
            words = ("worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
            git(repository.top, *NO_HOOKS, *words)
            _update(tree / repository.prefix, standing)
            git(tree, "branch", branch)
        except Problem as problem:
            return replace(standing, problem=str(problem))
        finally:
            git(repository.top, "worktree", "remove", "--force", str(tree), accepted=(0, 128))
    return replace(standing, branch=branch)


def _update(root: Path, standing: Standing) -> None:
    """Run the command itself, and commit what it staged; with conflicts, nothing is committed."""
    command = [sys.executable, "-m", "scaffold", "update", str(root), "--yes", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode == 2 and "conflict" in done.stdout:
        what = f"the update to {standing.newest} has conflicts"
        raise Problem(str(standing.root), what, f"scaffold update {standing.root}")
    if done.returncode not in (0, 1):
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise Problem(str(standing.root), last.removeprefix("scaffold: "), "update it alone")
    message = f"Update from {standing.version} to {standing.newest} of the template"
    git(root, *NO_HOOKS, "commit", "--quiet", "--message", message)
