"""An update on its way into the user's files: written, cut off, waiting for a hand, taken back.

What is on its way is recorded in git's own folder before a file is touched, so that whatever ends
us, the next command knows both ends: the commit that was there and the tree that was meant.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from scaffold import files
from scaffold.errors import Problem
from scaffold.merge import Merge, markers
from scaffold.project import git
from scaffold.report import Change, Update
from scaffold.repository import Repository, Tree

NOT_BEGUN, CONFLICTS, WRITING, WRITTEN = "not begun", "conflicts", "writing", "written"
FINISH, ABORT = "scaffold update --finish", "scaffold update --abort"


@dataclass(frozen=True)
class Pending:
    """An update that is not committed yet."""

    state: str
    head: str  # The commit that it started from.
    tree: str  # The tree of the whole repository that it leads to.
    before: str
    after: str
    folder: str = ""  # Where conflicts are resolved.
    conflicts: list[str] = field(default_factory=list)


@contextmanager
def locked(repository: Repository) -> Iterator[None]:
    """Keep every other update of this work tree out; a killed one holds nothing."""
    try:
        with FileLock(repository.private / "scaffold-update.lock", timeout=0):
            yield
    except Timeout as busy:
        what = "another update of it is at work"
        raise Problem(str(repository.top), what, "let it end") from busy


def found(repository: Repository) -> Pending | None:
    """Return what is on its way; forget what was committed, undone or never begun."""
    record = repository.workspace / "pending.json"
    if not record.is_file():
        clear(repository)
        return None
    pending = Pending(**json.loads(record.read_text(encoding="utf-8")))
    if pending.state == WRITING:
        pending = replace(pending, state=_how_far(repository, pending))
    moved = repository.head() != pending.head
    undone = pending.state == WRITTEN and not repository.uncommitted()
    if pending.state == NOT_BEGUN or undone or (moved and pending.state != CONFLICTS):
        clear(repository)
        return None
    return _record(repository, pending)


def clear(repository: Repository) -> None:
    """Remove everything of ours from git's folder."""
    if repository.workspace.exists():
        repository.remove_checkouts()
        shutil.rmtree(repository.workspace, ignore_errors=True)


def require_none(repository: Repository) -> None:
    """Raise Problem if an earlier update waits for a word."""
    pending = found(repository)
    if pending is None:
        return
    said = {
        CONFLICTS: (
            "an update waits for its conflicts",
            f"resolve them in {pending.folder}, then {FINISH}; or {ABORT}",
        ),
        WRITING: (
            "an update was cut off while it wrote",
            f"{FINISH} completes it, {ABORT} takes it back",
        ),
        WRITTEN: ("the last update is not committed", f"commit it, or take it back: {ABORT}"),
    }
    raise Problem(str(repository.top), *said[pending.state])


def apply(
    repository: Repository, tree: Tree, pending: Pending, earlier: Pending | None = None
) -> Pending:
    """Bring a merged tree into index and files: all of it staged, nothing committed."""
    files.require_ready(repository)
    if repository.head() != pending.head:
        what = "the branch has moved since the update was prepared"
        raise Problem(str(repository.top), what, f"{ABORT}, and update again")
    files.require_free(repository, tree, pending.head)
    wanted = repository.store(files.whole(repository, tree, pending.head))
    writing = _record(repository, replace(pending, state=WRITING, tree=wanted))
    try:
        repository.switch(pending.head, wanted)
    except Problem:
        _record(repository, earlier) if earlier else clear(repository)
        raise
    return _record(repository, replace(writing, state=WRITTEN, folder="", conflicts=[]))


def set_up(repository: Repository, merge: Merge, pending: Pending) -> Pending:
    """Check the merged tree out beside the user's files, its conflicts as git knows them."""
    folder = repository.workspace / (repository.top.name or "project")
    tree = repository.store(files.whole(repository, merge.result, pending.head))
    repository.detach(folder, pending.head, tree)
    lines = ""
    for path, stages in merge.conflicts.items():
        lines += f"0 {'0' * len(tree)}\t{path}\0"
        lines += "".join(f"{entry} {stage}\t{path}\0" for stage, entry in stages.items())
    git(folder, "update-index", "-z", "--index-info", told=lines)
    waiting = replace(pending, state=CONFLICTS, folder=str(folder), conflicts=[*merge.conflicts])
    return _record(repository, waiting)


def finish(repository: Repository) -> Update:
    """Complete what is on its way, unless lines of it are still in conflict."""
    pending = _expected(repository)
    if left := _unresolved(repository, pending):
        return _told(repository, pending, CONFLICTS, left)
    if pending.state == WRITING:
        files.restore(
            repository, files.differing(repository, pending.head, pending.tree), pending.tree
        )
        _record(repository, replace(pending, state=WRITTEN))
    elif pending.state == CONFLICTS:
        folder = Path(pending.folder)
        git(folder, "add", "--all")
        resolved = repository.tree(git(folder, "write-tree").strip())
        apply(repository, resolved, pending, earlier=pending)
        repository.remove_checkouts()
    return _told(repository, pending, "applied")


def abort(repository: Repository) -> Update:
    """Take back what is on its way; the user's files are as they were."""
    pending = _expected(repository)
    if pending.state in (WRITING, WRITTEN):
        written = files.differing(repository, pending.head, pending.tree)
        if pending.state == WRITTEN:
            files.require_untouched(repository, written, pending.tree)
        files.restore(repository, written, pending.head)
    clear(repository)
    return _told(repository, pending, "aborted")


def _told(
    repository: Repository, pending: Pending, state: str, left: Iterable[Change] = ()
) -> Update:
    root, folder = repository.top / repository.prefix, None
    if left:
        folder = Path(pending.folder) / repository.prefix
    return Update(state, root, pending.before, pending.after, [*left], folder=folder)


def _unresolved(repository: Repository, pending: Pending) -> list[Change]:
    """Return the conflict markers that are left, by file."""
    left = []
    for path in pending.conflicts if pending.state == CONFLICTS else []:
        file = Path(pending.folder) / path
        if file.is_file() and (lines := markers(file.read_bytes())):
            left.append(Change("conflict", path.removeprefix(repository.prefix), lines=lines))
    return left


def _expected(repository: Repository) -> Pending:
    pending = found(repository)
    if pending is None:
        what = "no update is on its way"
        raise Problem(str(repository.top), what, "start one with scaffold update")
    return pending


def _record(repository: Repository, pending: Pending) -> Pending:
    """Write it down in one piece."""
    repository.workspace.mkdir(exist_ok=True)
    draft = repository.workspace / "pending.draft"
    draft.write_text(json.dumps(asdict(pending), indent=1), encoding="utf-8")
    draft.replace(repository.workspace / "pending.json")
    return pending


def _how_far(repository: Repository, pending: Pending) -> str:
    """Say how much of an update was written before it was cut off: git's index comes last."""
    project = repository.prefix or "."
    words = ("diff-index", "--cached", "--name-only", pending.tree, "--", project)
    if not git(repository.top, *words):
        return WRITTEN
    new = repository.tree(pending.tree).keys() - repository.tree(pending.head).keys()
    if repository.uncommitted() or any(os.path.lexists(repository.top / path) for path in new):
        return WRITING
    return CONFLICTS if pending.folder else NOT_BEGUN
