"""An existing repository comes under the template: what it has stays, what it lacks is proposed.

Two branches are made in git's store, in one step: nothing is checked out, so that whatever ends us,
the user's files, index and branch are as they were.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scaffold import files
from scaffold.emitted import plan
from scaffold.errors import Problem
from scaffold.options import Template
from scaffold.project import ANSWERS_FILE, git, identity_environment
from scaffold.report import Adopted, Draft
from scaffold.repository import Repository, Tree

BRANCH, WRITTEN = "scaffold/adopt", "scaffold/template"
PROMISES = (
    "contract.yaml",
    "slo.yaml",
    "params.yaml",
    "ops/prices.yaml",
)  # The planner reads them.


@dataclass(frozen=True)
class Proposal:
    """What the template writes beside what the repository has."""

    ours: Tree
    theirs: Tree
    kept: dict[str, str]  # A path of the template, and the file of yours that is there.

    @property
    def added(self) -> Tree:
        return {path: entry for path, entry in self.theirs.items() if path not in self.kept}

    @property
    def differing(self) -> list[str]:
        """Return the files of yours that are not what the template writes."""
        pairs = self.kept.items()
        return sorted(mine for path, mine in pairs if self.ours[mine] != self.theirs[path])


def adoptable(folder: Path) -> Repository:
    """Return the repository; raise Problem unless it can come under the template as it is."""
    root = folder.expanduser().absolute()
    if not root.is_dir():
        raise Problem(str(folder), "is no folder", "name the root of a repository")
    repository = Repository.at(root)
    if repository.prefix:
        what = f"is a folder of the repository {repository.top}"
        raise Problem(str(folder), what, "name its root, or make this a repository of its own")
    if (root / ANSWERS_FILE).exists() or ANSWERS_FILE in repository.tree("HEAD"):
        what = f"has a {ANSWERS_FILE}: it is under a template"
        raise Problem(str(folder), what, "see scaffold diff and scaffold update")
    listing = git(repository.top, "for-each-ref", "--format=%(refname:short)", "refs/heads")
    for branch in {BRANCH, WRITTEN, BRANCH.partition("/")[0]} & set(listing.split("\n")):
        way_out = f"merge or rename it, or git branch -D {branch}"
        raise Problem(f"branch {branch}", "is there already", way_out)
    files.require_ready(repository)
    return repository


def suggestions(repository: Repository) -> dict[str, str]:
    """Return defaults that suit a repository with a life of its own: rows of its own, its name."""
    name = re.sub(r"[^a-z0-9]+", "-", repository.top.name.lower()).lstrip("-0123456789")[:24]
    name = name.rstrip("-") or "my-model"
    return {
        "project_name": name,
        "purpose": f"Serve the model of {name}",
        "business_metric": "points",
        "source": "files",
    }


def compared(repository: Repository, head: str, made: Draft) -> Proposal:
    """Hold what the template writes against the last commit; raise Problem where both can't be."""
    ours, theirs = repository.tree(head), repository.add(made.root)
    alike = {path.casefold(): path for path in ours}  # Some file systems have no two such.
    above = {str(folder): path for path in ours for folder in PurePosixPath(path).parents}
    kept = {}
    for path in theirs:
        parents = [str(folder).casefold() for folder in PurePosixPath(path).parents]
        if path in above or (taken := next((p for p in parents if p in alike), "")):
            where = path if path in above else alike[taken]
            what = "is a file on one side and a folder or a link on the other"
            raise Problem(where, what, "move or rename yours, commit, and try again")
        if path in ours or path.casefold() in alike:
            kept[path] = path if path in ours else alike[path.casefold()]
    return Proposal(ours, theirs, kept)


def _judged(repository: Repository, found: Proposal, made: Draft, template: Template) -> list[str]:
    """Let the planner read yours where it would read ours; return what it finds wrong with them."""
    mine = {path: found.ours[path] for path in PROMISES if found.kept.get(path) == path}
    contents = repository.blobs(mine.values())
    for path, entry in mine.items():
        (made.root / path).write_bytes(contents[entry])
    try:
        said = plan(made.root, template).problems if mine else []
    except Problem as problem:
        return [f"the planner cannot read your {', '.join(mine)}: {problem.what}"]
    return [f"{each.where}: {each.what}; {each.way_out}" for each in said]


def propose(repository: Repository, head: str, made: Draft, template: Template) -> Adopted:
    """Make both branches: yours with what it lacks, and what the template writes alone."""
    found = compared(repository, head, made)
    result = {**found.ours, **found.added}
    files.require_free(repository, result, head)
    who = identity_environment(repository.top)
    notes = [*made.notes, *_judged(repository, found, made, template)]
    if who:
        notes.append("git knows no identity of yours: the commits are by scaffold@localhost")
    if "\n_commit:" not in (made.root / ANSWERS_FILE).read_text(encoding="utf-8"):
        notes.append("this template has no history, so no update; name its repository: --template")

    def commit(tree: Tree, message: str, *parents: str) -> str:
        above = [word for parent in parents for word in ("-p", parent)]
        words = ("commit-tree", "--no-gpg-sign", "-m", message, repository.store(tree), *above)
        return git(repository.top, *words, environment=who).strip()

    added = sorted(found.added)
    adopted = commit(
        result, f"Adopt the template: {len(added)} files, none of yours is changed", head
    )
    branches = {BRANCH: adopted, WRITTEN: commit(found.theirs, "What the template writes alone")}
    told = "".join(f"create refs/heads/{name} {each}\n" for name, each in branches.items())
    git(repository.top, "update-ref", "--stdin", told=told)
    return Adopted(
        repository.top,
        BRANCH,
        WRITTEN,
        adopted,
        added,
        found.differing,
        made.answers,
        made.plan,
        notes,
    )
