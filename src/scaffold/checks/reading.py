"""A repository as it lies there: which files it has and what they say. Nothing of it is run."""

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from scaffold.errors import Problem
from scaffold.project import git

# A repository's own settings may name a command for git to run: this one is not run.
LISTING = ("-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others")
DEEPEST = 200  # The fast reader of YAML crashes on thousands.
LARGEST = 512 * 1024  # Bytes: what is larger is data, and no one wrote it.
ENOUGH = 96 * 1024 * 1024  # Bytes of all files together.
NOT_OURS = {".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", "node_modules"}
NOT_OURS |= {"__pycache__", "site-packages", "vendor", "third_party", ".dvc", "dist", "build"}
BINARY = re.compile(
    r"\.(png|jpe?g|gif|ico|pdf|parquet|npy|npz|pkl|joblib|pt|pth|onnx|h5|bin|zip|gz|whl|jar|so|csv"
    r"|tsv|woff2?|ttf|mp[34]|avi|tiff?|feather|arrow|db|sqlite|lock)$",
    re.IGNORECASE,
)
PLAIN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Parsed:
    """The documents of a YAML or JSON file, or why it is none; a template of one has neither."""

    documents: list[Any]
    error: str = ""
    line: int = 0


@dataclass(frozen=True)
class Repo:
    """The files under a folder, read when they are asked for, and once."""

    root: Path
    files: tuple[str, ...]
    notes: list[str] = field(default_factory=list)
    _texts: dict[str, str] = field(default_factory=dict, repr=False)
    _parsed: dict[str, Parsed] = field(default_factory=dict, repr=False)

    @classmethod
    def at(cls, folder: Path) -> "Repo":
        """List what git tracks or would, else what lies there; raise Problem for no folder."""
        root = folder.expanduser().resolve()
        if not root.is_dir():
            what = "is no folder" if root.exists() else "does not exist"
            raise Problem(str(folder), what, "name the root of a repository")
        notes: list[str] = []
        if not (listed := _listed(root)):
            listed = _walked(root)
            notes.append("git lists nothing here, so every file in the folder counts")
        return cls(root, tuple(sorted(listed)), notes)

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds a file, and the root as an empty name."""
        found: set[str] = {""}
        for path in self.files:
            while (path := path.rpartition("/")[0]) not in found:
                found.add(path)
        return frozenset(found)

    @cached_property
    def known(self) -> frozenset[str]:
        return frozenset(self.files)

    def has(self, path: str) -> bool:
        """Say whether this file or folder belongs to the repository, and lies there."""
        path = "" if path == "." else path
        return path in self.folders or (path in self.known and os.path.lexists(self.root / path))

    def lies(self, path: str) -> bool:
        """Say whether this path is there at all, tracked or not."""
        return self.has(path) or os.path.lexists(self.root / path)

    def matching(self, pattern: str) -> list[str]:
        """Return the files whose path matches; those that a template may leave out aside."""
        wanted = re.compile(pattern)
        return [path for path in self.files if wanted.search(path) and "{%" not in path]

    def text(self, path: str) -> str:
        """Return what a file says, empty if it is binary, too large or cannot be read."""
        if path not in self._texts:
            raw = _bytes(f"{self.root}/{path}")  # A Path for each of 20,000 files takes a while.
            self._texts[path] = "" if b"\0" in raw[:8192] else raw.decode("utf-8", "replace")
        return self._texts[path]

    def written(self) -> Iterator[tuple[str, str]]:
        """Go through the files that people write, as (path, text), until it is enough."""
        total = 0
        for path in self.files:
            if BINARY.search(path) or not NOT_OURS.isdisjoint(path.split("/")):
                continue
            text = self.text(path)
            total += len(text)
            if total > ENOUGH:
                self.notes.append(f"files from {path} on were not searched: there is too much text")
                return
            yield path, text

    def parsed(self, path: str) -> Parsed:
        if path not in self._parsed:
            self._parsed[path] = _parse(self.text(path), path)
        return self._parsed[path]

    def document(self, path: str) -> dict[str, Any]:
        """Return the one mapping that a file holds, empty if it is something else."""
        documents = self.parsed(path).documents
        return mapping(documents[0]) if documents else {}

    def line(self, path: str, said: str) -> int:
        """Return the first line of a file that says this, 0 if none does."""
        before, found, _ = self.text(path).partition(said)
        return before.count("\n") + 1 if found else 0


def mapping(value: Any) -> dict[str, Any]:
    """Return a mapping with texts as keys, whatever a file held in its place."""
    return {str(key): each for key, each in value.items()} if isinstance(value, dict) else {}


def several(value: Any) -> list[Any]:
    """Return a list, of one if a file held a single value, of none if it held nothing."""
    return value if isinstance(value, list) else [] if value is None else [value]


def beside(path: str, other: str) -> str:
    """Return where `other` is, seen from the folder of `path`: "a/b.yml", "../c" -> "c"."""
    return within(path.rpartition("/")[0], other)


def within(folder: str, other: str) -> str:
    """Return a path seen from the root; one that leaves the root begins with two dots."""
    joined = os.path.normpath(PurePosixPath(folder) / other).replace(os.sep, "/")
    return "" if joined == "." else joined


def _listed(root: Path) -> set[str]:
    try:
        return set(git(root, *LISTING, "--exclude-standard").split("\0")) - {""}
    except (Problem, OSError):
        return set()


def _walked(root: Path) -> set[str]:
    found = set()
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in NOT_OURS]
        start = Path(folder).relative_to(root)
        found |= {(start / name).as_posix() for name in files}
    return found


def _bytes(path: str) -> bytes:
    """Read a plain file: no link that leads elsewhere, no pipe that waits, nothing huge."""
    try:
        handle = os.open(path, PLAIN)
    except (OSError, ValueError):
        return b""
    try:
        status = os.fstat(handle)
        plain = stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST
        return os.read(handle, LARGEST) if plain else b""
    except OSError:
        return b""
    finally:
        os.close(handle)


def _parse(text: str, path: str) -> Parsed:
    try:
        if path.endswith(".json"):
            return Parsed([json.loads(text)] if text else [])
        if _too_deep(text):
            return Parsed([], f"is nested more than {DEEPEST} deep")
        return Parsed(list(yaml.load_all(text, Loader)))
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, AttributeError) as error:
        if re.search(r"(?<!\$)\{\{|\{%", text):
            return Parsed([])  # A template of such a file: only its engine can read it.
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else getattr(error, "lineno", 0)
        said = getattr(error, "problem", None) or getattr(error, "msg", None) or str(error)
        return Parsed([], " ".join(str(said).split())[:120], line)


def _too_deep(text: str) -> bool:
    """Say whether YAML is nested deeper than anyone writes it, without building anything."""
    depth = 0
    for event in yaml.parse(text, Loader) if sum(map(text.count, "[{-?")) > DEEPEST else ():
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return True
    return False
