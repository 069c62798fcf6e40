"""Bring a project to another version of its template: prepare, show, and only then apply."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

from scaffold import emitted, files, pending
from scaffold.errors import Infeasible, Problem
from scaffold.generate import Versions, versions
from scaffold.merge import Merge, Sides, merge
from scaffold.options import Given, Template
from scaffold.pending import Pending
from scaffold.project import ANSWERS_FILE, git
from scaffold.report import Update
from scaffold.repository import Repository, Tree


@dataclass(frozen=True)
class Prepared:
    """An update that nobody has applied yet."""

    repository: Repository
    head: str
    update: Update
    merge: Merge | None  # None: there is nothing new.

    def apply(self) -> Update:
        """Write it; with conflicts, put it beside the user's files to be resolved."""
        if self.merge is None:
            return self.update
        start = Pending("", self.head, "", self.update.before, self.update.after)
        if self.merge.conflicts:
            waiting = pending.set_up(self.repository, self.merge, start)
            folder = Path(waiting.folder) / self.repository.prefix
            return replace(self.update, state="conflicts", folder=folder)
        pending.apply(self.repository, self.merge.result, start)
        return replace(self.update, state="applied")


def prepare(
    repository: Repository, given: Given, ref: str | None, *, ask: bool, only_look: bool
) -> Prepared:
    """Render both versions and merge the difference; the user's files are only read."""
    pending.require_none(repository)
    if not only_look:
        files.require_ready(repository)
    head = repository.head()
    recorded = recorded_answers(repository, head)
    root = repository.top / repository.prefix
    template = Template.recorded(root, str(recorded["_src_path"]), ref)
    answers = {key: value for key, value in recorded.items() if key[0] != "_"}
    before = str(recorded["_commit"])
    repository.workspace.mkdir()
    try:
        with versions(template, before, answers, given, repository.workspace, ask) as found:
            if found is None:
                return Prepared(repository, head, Update("current", root, before, before), None)
            return _merged(repository, head, found, template if given.values else None)
    finally:
        pending.clear(repository)


def _merged(repository: Repository, head: str, found: Versions, judge: Template | None) -> Prepared:
    sides, ran = _sides(repository, head, found)
    made = merge(repository, sides, found.after[0])
    if found.migrations:
        migrated, late = _migrated(repository, found, "after", made.result)
        made.result, ran = migrated, [*ran, *late]
    if judge and not made.conflicts:
        _judge(repository, made.result, judge)
    root, notes = repository.top / repository.prefix, list(found.notes)
    if not git(repository.top, "branch", "--show-current").strip():
        notes.append("you are on no branch: make one before you commit")
    news = _news(found.checkout / "CHANGELOG.md", found.before[1], found.after[1])
    names = (found.before[0], found.after[0])
    update = Update("preview", root, *names, made.changes, notes, sorted(set(ran)), news)
    return Prepared(repository, head, update, made)


def recorded_answers(repository: Repository, head: str) -> Mapping[str, Any]:
    """Read the committed answers; raise Problem when they do not say what wrote the project."""
    path = repository.prefix + ANSWERS_FILE
    try:
        text = git(repository.top, "show", f"{head}:{path}")
    except Problem as problem:
        raise Problem(path, "is not committed", "git add it, and commit") from problem
    try:
        recorded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        way_out = "mend it, or take an older one: git log -- " + path
        raise Problem(path, "is not YAML", way_out) from error
    for key in ("_src_path", "_commit"):
        if not isinstance(recorded, dict) or not recorded.get(key):
            way_out = "record there which template wrote the project, and which version of it"
            raise Problem(path, f"has no {key}", way_out)
    return dict(recorded)


def _sides(repository: Repository, head: str, found: Versions) -> tuple[Sides, list[str]]:
    """Put the rendered versions beside what the user has, after what migrations do to both."""
    folders = (found.old, found.plain, found.new)
    known = {folder: repository.add(folder) for folder in dict.fromkeys(folders)}
    old, plain, new = (known[folder] for folder in folders)
    ours = repository.tree(head)
    ran: list[str] = []
    if found.migrations:  # What moves a file of yours moves it in the merge base, too.
        old, _ = _migrated(repository, found, "before", old)
        ours, ran = _migrated(repository, found, "before", ours)
    paths = {*old, *plain, *new}
    seeded = {each for each in paths if found.seeded(Path(each.removeprefix(repository.prefix)))}
    return Sides(ours, old, plain, new, seeded), ran


def _migrated(
    repository: Repository, found: Versions, stage: str, tree: Tree
) -> tuple[Tree, list[str]]:
    with repository.checkout("migration", tree) as folder:
        ran = found.migrate(stage, folder / repository.prefix)
        git(folder, "add", "--all")
        return repository.tree(git(folder, "write-tree").strip()), ran


def _judge(repository: Repository, tree: Tree, template: Template) -> None:
    """Let the planner of the merged project say whether the promises can be kept."""
    with repository.checkout("judged", tree) as folder:
        plan = emitted.plan(folder / repository.prefix, template)
    if not plan.feasible:
        raise Infeasible([(p.where, p.what, p.way_out) for p in plan.problems], asdict(plan))


def _news(changelog: Path, before: str, after: str) -> dict[str, str]:
    """Return what the changelog says of the versions crossed, to owners of projects if it does."""
    if not changelog.is_file() or not before or not after:
        return {}
    found = {}
    for section in re.split(r"^## ", changelog.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        try:
            version = Version(title.split()[0].strip("[]"))
        except (InvalidVersion, IndexError):
            continue
        if Version(before) < version <= Version(after):
            owners = re.search(r"^### .*\bowners?\b.*\n((?:(?!### ).*\n?)*)", body, re.M | re.I)
            found[str(version)] = (owners[1] if owners else body).strip()
    return found
