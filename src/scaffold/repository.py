"""The user's repository, read and written through git: trees go in and out, files stay alone.

A tree is a dictionary from path (seen from the top) to "mode id", of the project's files only.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import Problem
from scaffold.project import ANSWERS_FILE, NEUTRAL, git, require_git

Tree = dict[str, str]
OLDEST_GIT = (2, 38)  # The first that merges trees without a work tree.
FAITHFUL = {  # A rendered file enters the repository as its attributes say, whatever is set here.
    "core.autocrlf": "input",
    "core.excludesFile": os.devnull,
    "core.fileMode": "true",
    "core.fsmonitor": "false",
    "core.fsyncMethod": "batch",
    "core.safecrlf": "false",
}
MERGING = {"merge.directoryRenames": "true", "merge.renames": "true"}
NOBODY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in zip(("NAME", "EMAIL"), NEUTRAL, strict=True)
}
NO_SURPRISE = {"core.hooksPath": os.devnull, "submodule.recurse": "false"}


@dataclass(frozen=True)
class Merged:
    """What git makes of three trees: conflicts by path, each with its entries by stage."""

    tree: Tree
    conflicts: dict[str, dict[int, str]]
    renamed_apart: set[str]  # Paths that you and the template renamed differently.
    labels: tuple[str, str]  # What the markers say for yours and for the template's.


@dataclass(frozen=True)
class Repository:
    """A work tree, and where in it the project lies: "" or "services/late/"."""

    top: Path
    prefix: str
    private: Path  # git's folder for this work tree: in a linked one not the common folder

    @classmethod
    def around(cls, folder: Path) -> "Repository":
        """Find the project at or above this folder; raise Problem when it cannot be updated."""
        place = folder.expanduser().absolute()
        holders = (here for here in (place, *place.parents) if (here / ANSWERS_FILE).is_file())
        root = next(holders, None)
        if root is None:
            way_out = "change to the folder that scaffold new or copier copy made"
            raise Problem(str(folder), f"no {ANSWERS_FILE} here or above", way_out)
        return cls.at(root)

    @classmethod
    def at(cls, root: Path) -> "Repository":
        """Take this folder for the project's; raise Problem unless a repository holds it."""
        require_git()
        _require_version()
        asked = ("--is-inside-work-tree", "--show-toplevel", "--absolute-git-dir", "--show-prefix")
        try:
            _, top, private, prefix, *_ = git(root, "rev-parse", *asked).split("\n")
            git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except Problem as problem:
            way_out = "commit it first: git init && git add --all && git commit -m start"
            raise Problem(str(root), "is not in a repository with a commit", way_out) from problem
        return cls(Path(top), prefix, Path(private))

    @property
    def workspace(self) -> Path:
        """Our folder among git's own: whatever is left here, no file of yours is."""
        return self.private / "scaffold-update"

    def head(self) -> str:
        return git(self.top, "rev-parse", "HEAD").strip()

    def tree(self, commit: str, everything: bool = False) -> Tree:
        """Return the project's files in a commit or tree, or those of the whole repository."""
        where = ("--", self.prefix) if self.prefix and not everything else ()
        listing = git(self.top, "ls-tree", "-r", "-z", "--full-tree", commit, *where)
        return {path: _entry(facts) for facts, path in _rows(listing)}

    def add(self, folder: Path) -> Tree:
        """Put the files of a folder into git's store; return them as if they were the project."""
        environment = {"GIT_DIR": str(self.private), "GIT_WORK_TREE": str(folder)}
        environment["GIT_INDEX_FILE"] = str(folder.with_suffix(".index"))
        git(folder, *_settings(FAITHFUL), "add", "--all", "--force", ".", environment=environment)
        listing = git(folder, "ls-files", "--stage", "-z", environment=environment)
        rows = ((facts.split(), path) for facts, path in _rows(listing))
        return {self.prefix + path: f"{mode} {blob}" for (mode, blob, _), path in rows}

    def store(self, tree: Tree) -> str:
        """Return the id of a tree."""
        lines = "".join(f"{entry}\t{path}\0" for path, entry in tree.items())
        told = ("update-index", "-z", "--index-info")
        with tempfile.TemporaryDirectory() as folder:
            environment = {"GIT_INDEX_FILE": f"{folder}/index"}
            git(self.top, *told, environment=environment, told=lines)
            return git(self.top, "write-tree", environment=environment).strip()

    def commit(self, tree: Tree, *parents: str) -> str:
        """Return the id of a commit that no branch holds."""
        above = [word for parent in parents for word in ("-p", parent)]
        words = ("commit-tree", "--no-gpg-sign", self.store(tree), *above)
        return git(self.top, *words, environment=NOBODY).strip()

    def at_work(self) -> Tree:
        """Return the project's tracked files as they lie there, committed or not."""
        made = git(self.top, "stash", "create", environment=NOBODY).strip()
        return self.tree(made or self.head())

    def merge(self, base: Tree, ours: Tree, theirs: Tree) -> Merged:
        """Merge three trees line by line, renames included, in one call and without a file."""
        root = self.commit(base)
        labels = (self.commit(ours, root), self.commit(theirs, root))
        words = ("merge-tree", "--write-tree", "-z", "--messages", *labels)
        answer = git(self.top, *_settings(MERGING), *words, accepted=(0, 1)).split("\0")
        end = answer.index("", 1)
        conflicts: dict[str, dict[int, str]] = {}
        for facts, path in (row.split("\t", 1) for row in answer[1:end]):
            mode, blob, stage = facts.split()
            conflicts.setdefault(path, {})[int(stage)] = f"{mode} {blob}"
        apart = set(_said(answer[end + 1 :], "CONFLICT (rename/rename)"))
        return Merged(self.tree(answer[0]), conflicts, apart, labels)

    def blobs(self, entries: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of files, by their entries."""
        wanted = sorted({entry for entry in entries if not entry.startswith("160000")})
        told = "".join(f"{entry.split()[1]}\n" for entry in wanted)
        said = git(self.top, "cat-file", "--batch", told=told).encode("utf-8", "surrogateescape")
        found, start = {}, 0
        for entry in wanted:
            head, _, _ = said[start:].partition(b"\n")
            begin = start + len(head) + 1
            size = int(head.split()[2])
            found[entry], start = said[begin : begin + size], begin + size + 1
        return found

    def blob(self, contents: bytes, mode: str) -> str:
        """Store a file; return its entry."""
        told = contents.decode("utf-8", "surrogateescape")
        return f"{mode} {git(self.top, 'hash-object', '-w', '--stdin', told=told).strip()}"

    def renames(self, before: Tree, after: Tree) -> dict[str, str]:
        """Return the files that moved from one tree to the other: new path to old."""
        words = ("diff-tree", "-r", "-M", "--diff-filter=R", "-z", "--name-status")
        said = git(self.top, *words, self.store(before), self.store(after)).split("\0")
        return dict(zip(said[2::3], said[1::3], strict=False))

    def uncommitted(self) -> list[str]:
        """Return the tracked files of the project that differ from the last commit."""
        words = ("status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty")
        literally = {"GIT_LITERAL_PATHSPECS": "1"}
        said = git(self.top, *words, "--", self.prefix or ".", environment=literally)
        return [row[3:] for row in said.split("\0") if row[2:3] == " "]

    @contextmanager
    def checkout(self, name: str, tree: Tree) -> Iterator[Path]:
        """Lend a detached work tree, which goes when the context ends."""
        folder, commit = self.workspace / name, self.commit(tree)
        self.detach(folder, commit, commit)
        try:
            yield folder
        finally:
            self._remove(folder)

    def detach(self, folder: Path, commit: str, tree: str) -> None:
        """Make a detached work tree at a commit that holds a tree."""
        words = ("worktree", "add", "--force", "--force", "--no-checkout", "--detach")
        git(self.top, *_settings(NO_SURPRISE), *words, str(folder), commit)
        git(folder, *_settings(NO_SURPRISE), "read-tree", "--reset", "-u", tree)

    def remove_checkouts(self) -> None:
        """Remove each work tree of ours, also one that was killed in the making."""
        listing = git(self.top, "worktree", "list", "--porcelain", "-z")
        known = (row.removeprefix("worktree ") for row in listing.split("\0"))
        for row in known:
            if Path(row).parent == self.workspace:
                self._remove(Path(row))

    def _remove(self, folder: Path) -> None:
        words = ("worktree", "remove", "--force", "--force", str(folder))
        git(self.top, *words, accepted=(0, 128))
        shutil.rmtree(folder, ignore_errors=True)

    def switch(self, before: str, after: str) -> None:
        """Bring index and files from one tree to another; git refuses what would be lost.

        In a session of its own: what ends us does not end it half way.
        """
        words = ["read-tree", "-m", "-u", before, after]
        with subprocess.Popen(
            ["git", *_settings(NO_SURPRISE), *words],
            cwd=self.top,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                _, said = process.communicate()
            except KeyboardInterrupt:  # Too late: half an update helps nobody.
                _, said = process.communicate()
        if process.returncode:
            last = (said.strip() or "git failed without a word").splitlines()[-1]
            raise Problem(str(self.top), last, "commit or stash what you changed, and try again")


def _require_version() -> None:
    said = re.search(r"(\d+)\.(\d+)", git(Path("/"), "--version"))
    if said and (int(said[1]), int(said[2])) < OLDEST_GIT:
        needed = ".".join(map(str, OLDEST_GIT))
        raise Problem("git", f"is {said[0]}; an update needs {needed}", "install a newer one")


def _settings(settings: dict[str, str]) -> list[str]:
    return [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]


def _rows(listing: str) -> Iterator[tuple[str, str]]:
    for row in listing.split("\0"):
        if row:
            facts, path = row.split("\t", 1)
            yield facts, path


def _entry(facts: str) -> str:
    mode, _, blob = facts.split()
    return f"{mode} {blob}"


def _said(messages: list[str], kind: str) -> Iterator[str]:
    """Yield the paths of git's messages of one kind: count, paths, kind, sentence; again."""
    while messages and messages[0].isdigit():
        count = int(messages[0])
        if messages[count + 1] == kind:
            yield from messages[1 : count + 1]
        messages = messages[count + 3 :]
