"""The user's files: may they be written, and how they come to what a tree says."""

import contextlib
import os
from pathlib import Path, PurePosixPath

from scaffold.errors import Problem
from scaffold.project import git
from scaffold.repository import Repository, Tree


def require_ready(repository: Repository) -> None:
    """Raise Problem if an update could not be told from the user's own changes."""
    require_unlocked(repository)
    if changed := repository.uncommitted():
        more = f" and {len(changed) - 1} more" if changed[1:] else ""
        raise Problem(f"{changed[0]}{more}", "not committed", "commit or stash first")


def require_free(repository: Repository, tree: Tree, head: str) -> None:
    """Raise Problem if a file that git does not track is where the update would write."""
    known = repository.tree(head)
    above = {str(parent) for path in known for parent in PurePosixPath(path).parents}
    for path in sorted(tree.keys() - known.keys()):
        for place in (path, *map(str, PurePosixPath(path).parents)):
            at = repository.top / place
            if place in known or place in above or not os.path.lexists(at):
                continue
            if place == path or at.is_symlink() or not at.is_dir():
                below = "it" if place == path else "below it"
                what = f"we would write {below}, and git does not track yours"
                raise Problem(place, what, "commit, move or delete it")


def require_unlocked(repository: Repository) -> None:
    lock = repository.private / "index.lock"
    if lock.exists():
        what = "another git is at work, or was killed"
        raise Problem(str(lock), what, "wait for it, or delete that file")


def whole(repository: Repository, tree: Tree, head: str) -> Tree:
    """Return the tree of the whole repository with the project in its place."""
    if not repository.prefix:
        return tree
    project = repository.tree(head).keys()
    others = repository.tree(head, everything=True)
    return {**{path: others[path] for path in others.keys() - project}, **tree}


def differing(repository: Repository, before: str, after: str) -> list[str]:
    """Return the paths that differ between two trees."""
    words = ("diff-tree", "-r", "-z", "--no-renames", "--name-only", before, after)
    return [path for path in git(repository.top, *words).split("\0") if path]


def restore(repository: Repository, paths: list[str], end: str) -> None:
    """Bring these files to what they are in a tree, whatever state they and the index are in."""
    require_unlocked(repository)
    there = repository.tree(end)
    literally = {"GIT_LITERAL_PATHSPECS": "1"}
    listed = ("--pathspec-from-file=-", "--pathspec-file-nul")
    if gone := [path for path in paths if path not in there]:
        words = ("rm", "--quiet", "--cached", "--ignore-unmatch", *listed)
        git(repository.top, *words, told="\0".join(gone), environment=literally)
        for path in gone:
            (repository.top / path).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # Not empty, or gone.
                os.removedirs((repository.top / path).parent)
    if kept := [path for path in paths if path in there]:
        bring = ("checkout", "--quiet", end, *listed)
        git(repository.top, *bring, told="\0".join(kept), environment=literally)


def require_untouched(repository: Repository, paths: list[str], tree: str) -> None:
    """Raise Problem if one of these files is no longer what the tree says."""
    meant = repository.tree(tree)
    there = [path for path in paths if _plain_file(repository.top / path)]
    found = git(repository.top, "hash-object", "--stdin-paths", told="\n".join(there)).split()
    for path, blob in zip(there, found, strict=True):
        if meant.get(path, "").split()[1:] != [blob]:
            way_out = f"copy what you need of it, and git restore --source={tree[:10]} {path}"
            raise Problem(path, "you changed it after the update", way_out)


def _plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
