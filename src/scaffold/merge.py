"""Merge what the template changed into what the user has, and say file by file what happens."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scaffold.errors import Problem
from scaffold.project import ANSWERS_FILE
from scaffold.report import Change
from scaffold.repository import Repository, Tree

MARKER = re.compile(rb"^(<{7}|>{7})( |$)", re.MULTILINE)


@dataclass(frozen=True)
class Sides:
    """The project as the user has it, and as two versions of the template write it.

    `plain` is the new version with the old answers: a seeded file follows an answer, and nothing
    else. `seeded` are the paths that belong to the user from the first day.
    """

    ours: Tree
    old: Tree
    plain: Tree
    new: Tree
    seeded: set[str]


@dataclass
class Merge:
    """The outcome: the tree, what is still in conflict, and what the user may decide otherwise."""

    ours: Tree
    result: Tree
    changes: list[Change]
    conflicts: dict[str, dict[int, str]]
    asked: dict[str, str | None]  # What the template has instead; None: nothing.

    def take_theirs(self, path: str) -> None:
        """Decide against the user's own file."""
        _put(self.result, path, self.asked[path])


def merge(repository: Repository, sides: Sides, version: str) -> Merge:
    """Merge three trees; `version` is what conflict markers call the template's side."""
    base, theirs, left_alone = _three_ways(repository, sides)
    merged = repository.merge(base, sides.ours, theirs)
    made = Merge(sides.ours, merged.tree, [], {}, {})
    contents = repository.blobs(made.result[p] for p in merged.conflicts if p in made.result)
    lines: dict[str, list[int]] = {}
    for path, stages in merged.conflicts.items():
        text = contents.get(made.result.get(path, ""), b"")
        if path.endswith(tuple(f"~{label}" for label in merged.labels)):
            _refuse_two_kinds(path)
        elif 2 not in stages:  # The user deleted it, or gave it a name of his own.
            made.result.pop(path, None)
        elif b"<<<<<<< " + merged.labels[0].encode() in text:
            for label, side in zip(merged.labels, ("yours", f"template {version}"), strict=True):
                text = text.replace(label.encode(), side.encode())
            made.result[path] = repository.blob(text, stages[2].split()[0])
            made.conflicts[path], lines[path] = stages, markers(text)
        elif path not in merged.renamed_apart:  # It cannot be merged by lines.
            made.result[path], made.asked[path] = stages[2], stages.get(3)
    made.changes.extend(_changes(repository, sides, made, (base, theirs), left_alone, lines))
    return made


def markers(contents: bytes) -> list[int]:
    """Return the lines, from 1, at which conflicts begin; the ends, if no begin is left."""
    lines: dict[bytes, list[int]] = {b"<" * 7: [], b">" * 7: []}
    for found in MARKER.finditer(contents):
        lines[found[1]].append(contents.count(b"\n", 0, found.start()) + 1)
    return lines[b"<" * 7] or lines[b">" * 7]


def _three_ways(repository: Repository, sides: Sides) -> tuple[Tree, Tree, set[str]]:
    """Return merge base, the template's side, and the files that are left alone."""
    base, theirs, left_alone = dict(sides.old), dict(sides.new), set()
    answers = repository.prefix + ANSWERS_FILE
    base[answers] = sides.ours[answers]  # The new answers win.
    for path in sides.seeded:
        before, after = sides.plain.get(path), sides.new.get(path)
        if before != after:  # An answer changed it.
            _put(base, path, before)
        elif path in sides.old or path in sides.ours:
            _put(base, path, sides.ours.get(path))
            _put(theirs, path, sides.ours.get(path))
            left_alone.add(path)
    _keep_line_ends(repository, sides.ours, base, theirs)
    return base, theirs, left_alone


def _keep_line_ends(repository: Repository, ours: Tree, base: Tree, theirs: Tree) -> None:
    """Let a file that the user keeps with CRLF be CRLF on every side: lines merge, not ends."""
    both = [path for path in base.keys() & ours.keys() & theirs.keys() if ours[path] != base[path]]
    sides = [side for path in both for side in (ours[path], base[path], theirs[path])]
    contents = repository.blobs(sides)
    for path in both:
        text = contents.get(ours[path], b"")
        if b"\r\n" not in text or text.count(b"\n") != text.count(b"\r\n"):
            continue
        for side in (base, theirs):
            plain = contents[side[path]].replace(b"\r\n", b"\n")
            side[path] = repository.blob(plain.replace(b"\n", b"\r\n"), side[path].split()[0])


def _refuse_two_kinds(path: str) -> None:
    where = path.rpartition("~")[0]
    what = "is a file on one side and a folder or a link on the other"
    raise Problem(where, what, "move or rename yours, commit, and try again")


def _changes(
    repository: Repository,
    sides: Sides,
    made: Merge,
    ways: tuple[Tree, Tree],
    left_alone: set[str],
    lines: dict[str, list[int]],
) -> Iterator[Change]:
    """Say for each file that the template knows, or that changes, what happens to it."""
    base, theirs = ways
    moved = repository.renames(sides.ours, made.result)
    gone = set(moved.values())
    for path in sorted({*sides.old, *sides.new, *made.result, *sides.ours}):
        name = path.removeprefix(repository.prefix)
        if path in made.conflicts:
            yield Change("conflict", name, lines=lines[path])
        elif path in made.asked:
            yield Change("asked", name, note=_why_asked(made.asked[path]))
        elif path in left_alone:
            yield Change("seeded", name, note=_moved_on(sides.old.get(path), sides.new.get(path)))
        elif path in moved:
            was = moved[path]
            edited = sides.ours[was] != base.get(was)
            note = "with what you changed" if edited else ""
            yield Change("renamed", name, was.removeprefix(repository.prefix), note=note)
        elif path not in gone:
            each = [tree.get(path) for tree in (base, sides.ours, theirs, made.result)]
            if kind := _kind(*each):
                yield Change(kind, name)


def _kind(base: str | None, ours: str | None, theirs: str | None, result: str | None) -> str:
    """Name what happens to a file, by its entry on each side; "" is nothing worth a line."""
    if ours == result:
        if ours is None:
            return "kept_deleted" if theirs not in (None, base) else ""
        return "yours" if base not in (None, ours) and ours != theirs else ""
    if ours is None:
        return "added"
    if result is None:
        return "deleted"
    return "updated" if ours == base else "merged"


def _why_asked(theirs: str | None) -> str:
    if theirs is None:
        return "the template has it no longer, and you changed it"
    return "both changed it, and it cannot be merged by lines"


def _moved_on(old: str | None, new: str | None) -> str:
    """Say how to see what the template changed in a file that it leaves alone."""
    if old == new or old is None or new is None:
        return ""
    before, after = (entry.split()[1][:10] for entry in (old, new))
    return f"the template's has changed: git diff {before} {after}"


def _put(tree: Tree, path: str, entry: str | None) -> None:
    if entry is None:
        tree.pop(path, None)
    else:
        tree[path] = entry
