"""The destination: what may be written there, how, and how its history begins."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scaffold.errors import Problem

ANSWERS_FILE = ".copier-answers.yml"
NEUTRAL = ("scaffold", "scaffold@localhost")


def require_git() -> None:
    if shutil.which("git") is None:
        raise Problem("git", "is not installed", "install it, e.g. apt-get install git")


def checked_destination(path: Path) -> Path:
    """Return the absolute destination; raise Problem unless it is absent or an empty folder."""
    destination = path.expanduser().resolve()
    if destination.exists() and not destination.is_dir():
        raise Problem(str(path), "is a file", "choose a folder that does not exist yet")
    if destination.is_dir() and any(destination.iterdir()):
        raise Problem(str(path), "is not empty", "choose a folder that does not exist yet")
    ground = _nearest_existing(destination)
    if not ground.is_dir() or not os.access(ground, os.W_OK):
        raise Problem(str(path), f"cannot write in {ground}", "choose another folder")
    return destination


@contextmanager
def workspace(destination: Path) -> Iterator[Path]:
    """Lend a temporary folder beside the destination; remove it whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=".scaffold-", dir=_nearest_existing(destination.parent)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(rendered: Path, destination: Path) -> None:
    """Move a finished project to its place: all of it, or nothing."""
    if not destination.exists():
        destination.parent.mkdir(parents=True, exist_ok=True)
        rendered.rename(destination)
        return
    try:  # An empty folder may be a mount point or the shell's own: fill it, do not replace it.
        for child in list(rendered.iterdir()):
            shutil.move(child, destination / child.name)
    except BaseException:
        _empty(destination)
        raise


def first_commit(root: Path) -> tuple[str, bool]:
    """Begin the history on branch main with every file.

    Returns the commit and whether it needed the neutral identity because the user has none.
    """
    git(root, "init", "--quiet", "--initial-branch=main")
    identity = identity_environment(root)
    git(root, "add", "--all")
    message = "Start from the template"
    options = ("--quiet", "--no-verify", "--no-gpg-sign", f"--message={message}")
    git(root, "commit", *options, environment=identity)
    return git(root, "rev-parse", "HEAD").strip(), bool(identity)


def identity_environment(folder: Path) -> dict[str, str]:
    """Return what git must be told when the user has no identity; empty when there is one."""
    roles = ("AUTHOR", "COMMITTER")
    if all(_knows_identity(folder, role) for role in roles):
        return {}
    name, email = NEUTRAL
    return {
        f"GIT_{role}_{field}": value
        for role in roles
        for field, value in (("NAME", name), ("EMAIL", email))
    }


def _knows_identity(folder: Path, role: str) -> bool:
    command = ["git", "-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT"]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0


def git(
    root: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    told: str = "",
    accepted: tuple[int, ...] = (0,),
) -> str:
    """Run git in this folder only, deaf to an outer repository that may have called us.

    Names and contents that are no UTF-8 survive as surrogates.
    """
    outer = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
    inherited = {key: value for key, value in os.environ.items() if key not in outer}
    done = subprocess.run(
        ["git", *arguments],
        cwd=root,
        env={**inherited, **(environment or {})},
        input=told.encode("utf-8", "surrogateescape"),
        capture_output=True,
    )
    if done.returncode not in accepted:
        said = done.stderr.decode("utf-8", "replace").strip() or "failed without a word"
        verb = next(word for word in arguments if word[0] != "-" and "=" not in word)
        way_out = "mend the settings of git and try again"
        raise Problem(f"git {verb}", said.splitlines()[-1], way_out)
    return done.stdout.decode("utf-8", "surrogateescape")


def _nearest_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _empty(folder: Path) -> None:
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child, ignore_errors=True)
        else:
            child.unlink(missing_ok=True)
