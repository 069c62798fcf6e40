"""What a project has that its template did not write: the edits that each update carries along."""

import tempfile
from pathlib import Path

from scaffold import engine
from scaffold.engine import JUDGED
from scaffold.options import Given, Template
from scaffold.project import git
from scaffold.report import Comparison, Edit
from scaffold.repository import Repository, Tree
from scaffold.update import recorded_answers


def compare(repository: Repository, patch: bool = False) -> Comparison:
    """Hold the tracked files, committed or not, against what the recorded version writes."""
    recorded = recorded_answers(repository, repository.head())
    root, version = repository.top / repository.prefix, str(recorded["_commit"])
    template = Template.recorded(root, str(recorded["_src_path"]), version)
    answers = {key: value for key, value in recorded.items() if key[0] != "_"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "written"
        interview = {"data": dict(JUDGED), "defaults": True}
        with engine.fetched(template, folder, interview) as (worker, _):
            engine.answer(worker, answers)
            engine.render(worker, Given())
            seeded = engine.seeded(worker)
            theirs, yours = repository.add(folder), repository.at_work()
    edits = []
    for path in sorted(theirs.keys() | yours.keys()):
        if theirs.get(path) != yours.get(path):
            place = path.removeprefix(repository.prefix)
            kind = _kind(path, theirs, yours, seeded(Path(place)))
            edits.append(Edit(kind, place))
    ours = [repository.prefix + edit.path for edit in edits if edit.kind in ("edited", "deleted")]
    return Comparison(
        root, version, edits, _patch(repository, theirs, yours, ours) if patch else ""
    )


def _kind(path: str, theirs: Tree, yours: Tree, seeded: bool) -> str:
    if path not in theirs:
        return "added"
    if seeded:
        return "seeded"
    return "edited" if path in yours else "deleted"


def _patch(repository: Repository, theirs: Tree, yours: Tree, paths: list[str]) -> str:
    """Return as a diff what was done to these files."""
    before, after = (
        repository.store({path: tree[path] for path in paths if path in tree})
        for tree in (theirs, yours)
    )
    return git(repository.top, "diff-tree", "-p", "--no-renames", before, after)
