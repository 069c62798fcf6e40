"""A project of an older version of its template: what the tests of `scaffold update` share."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Scaffold, commit_all, contents, git
from scaffold.cli import main

OURS = "src/late_flights/production/__init__.py"
TEN = "".join(f"line {number}\n" for number in range(1, 11))
KILLER = """\
#!/bin/sh
# The git of a machine on which the command is killed after its n-th call of git in the project.
case "$PWD/" in {demo}/*) echo >> {count};; *) exec {git} "$@";; esac
case "$KILL_AT $*" in
  writing*read-tree\\ -m*) touch .git/index.lock; echo half > ten.txt; echo half > new.txt;;
  writing*) exec {git} "$@";;
  *) if [ "$(wc -l < {count})" -ne "$KILL_AT" ]; then exec {git} "$@"; fi; {git} "$@";;
esac
kill -9 $PPID
"""


@pytest.fixture
def origin(toy: Path, tmp_path: Path) -> Path:
    """A template of version 1.0.0 with some more files to merge."""
    root = tmp_path / "origin"
    shutil.copytree(toy, root)
    project = root / "template/project"
    (project / "ten.txt").write_text(TEN)
    (project / "gone.txt").write_text(TEN.replace("line", "gone"))
    (project / "moved.txt").write_text(TEN.replace("line", "moved"))
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


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Type a command in this process (there are many): its exit code, answer and complaint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["scaffold", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def refused(typed: Typed, demo: Path, *options: str, code: int = 2) -> str:
    """Demand one line, an exit code, and a project in which nothing moved."""
    before = at_rest(demo)
    left, _, said = typed("update", str(demo), "--yes", *options)
    assert (left, len(said.splitlines())) == (code, 1), said
    assert said.startswith("scaffold: ")
    assert at_rest(demo) == before
    assert not list(demo.glob(".git/scaffold-update/*"))
    return said


@pytest.fixture
def conflict(origin: Path, demo: Path) -> Path:
    """A project whose second and ninth line both sides have changed."""
    mine = TEN.replace("line 2\n", "mine 2\n").replace("line 9\n", "mine 9\n")
    edit(demo, {"ten.txt": mine})
    theirs = TEN.replace("line 2\n", "theirs 2\n").replace("line 9\n", "theirs 9\n")
    release(origin, {"ten.txt": theirs, "new.txt": "new\n"})
    return demo


@pytest.fixture
def killed(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Run a command and kill it with SIGKILL at a call of git; say if it was alive by then."""
    count, fake = tmp_path / "count", tmp_path / "bin/git"
    fake.parent.mkdir()
    fake.write_text(KILLER.format(count=count, git=shutil.which("git"), demo=demo))
    fake.chmod(0o755)

    def run(at: str, way: str = "--yes", verb: str = "update") -> bool:
        count.write_text("")
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException), Path(os.devnull).open("w") as silent:
                os.environ |= {"KILL_AT": at, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
                os.dup2(silent.fileno(), 1)
                os.dup2(silent.fileno(), 2)
                sys.argv = ["scaffold", verb, str(demo), *way.split()]
                main()
            os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    return run
