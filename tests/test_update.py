"""`scaffold update` as its user sees it, on repositories with a history and edits of their own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Scaffold, commit_all, contents, git

OURS = "src/late_flights/production/__init__.py"
TEN = "".join(f"line {number}\n" for number in range(1, 11))


@pytest.fixture
def origin(toy: Path, tmp_path: Path) -> Path:
    """A template of version 1.0.0 with some more files to merge."""
    root = tmp_path / "origin"
    shutil.copytree(toy, root)
    project = root / "template/project"
    (project / "ten.txt").write_text(TEN)
    (project / "gone.txt").write_text(TEN)
    (project / "moved.txt").write_text(TEN)
    (project / "picture.bin").write_bytes(b"\0old")
    commit_all(root)
    git(root, "tag", "--force", "v1.0.0")
    return root


@pytest.fixture
def demo(origin: Path, scaffold: Scaffold, tmp_path: Path) -> Path:
    """A project of version 1.0.0."""
    done = scaffold("new", "demo", "--yes", "--template", str(origin))
    assert done.returncode == 0, done.stderr
    return tmp_path / "demo"


def release(origin: Path, changes: dict[str, str | bytes | None], tag: str = "v1.1.0") -> None:
    """Make a new version of the template; None deletes a file."""
    for path, text in changes.items():
        file = origin / "template/project" / path.replace("late_flights", "{{ package_name }}")
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
    commit_all(origin)
    git(origin, "tag", tag)


def edit(demo: Path, changes: dict[str, str | bytes | None]) -> None:
    """Change a project and commit."""
    for path, text in changes.items():
        if text is None:
            (demo / path).unlink()
        else:
            (demo / path).parent.mkdir(parents=True, exist_ok=True)
            (demo / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    commit_all(demo)


def kinds(said: str) -> dict[str, str]:
    """What a JSON answer says of each file."""
    return {change["path"]: change["kind"] for change in json.loads(said)["changes"]}


def at_rest(demo: Path) -> tuple[str, str, dict[str, bytes]]:
    """All that an update must not change before it is applied."""
    return git(demo, "rev-parse", "HEAD"), git(demo, "status", "--porcelain"), contents(demo)


def test_edits_are_merged_line_by_line_and_nothing_moves_before_it_is_applied(
    origin: Path, demo: Path, scaffold: Scaffold
) -> None:
    edit(demo, {"ten.txt": TEN.replace("line 2\n", "mine\n"), "own.txt": "own\n"})
    release(origin, {"ten.txt": TEN + "line 11\n", OURS: '"""Renewed."""\n', "new.txt": "new\n"})
    before = at_rest(demo)
    looked = scaffold("update", "demo", "--dry-run", "--json")
    assert looked.returncode == 0, looked.stderr
    said = kinds(looked.stdout)
    assert {said[path] for path in ("slo.yaml", "src/late_flights/ingest.py")} == {"seeded"}
    assert (said["ten.txt"], said[OURS], said["new.txt"]) == ("merged", "updated", "added")
    assert at_rest(demo) == before

    done = scaffold("update", "demo", "--yes")
    assert done.returncode == 0, done.stderr
    assert "v1.0.0 -> v1.1.0" in done.stdout
    assert (demo / "ten.txt").read_text() == TEN.replace("line 2\n", "mine\n") + "line 11\n"
    assert (demo / OURS).read_text() == '"""Renewed."""\n'
    assert (demo / "own.txt").read_text() == "own\n"
    assert "_commit: v1.1.0" in (demo / ".copier-answers.yml").read_text()
    staged = git(demo, "diff", "--cached", "--name-only").split()
    assert sorted(staged) == sorted(["ten.txt", OURS, "new.txt", ".copier-answers.yml"])
    assert git(demo, "rev-parse", "HEAD").strip() == before[0].strip()

    git(demo, "commit", "--quiet", "--message", "update")
    again = scaffold("update", "demo", "--yes")
    assert again.returncode == 0
    assert "Nothing to do" in again.stdout
    assert not (demo / ".git/scaffold-update").exists()
