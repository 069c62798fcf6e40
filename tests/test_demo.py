"""`make demo`: generates once, reuses what is current, and never deletes what a user edited."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, commit_all

MAKEFILE = "setup rehearse:\n\t@echo did $@\n"


@pytest.fixture
def checkout(toy: Path, tmp_path: Path) -> Path:
    """A checkout with the small template, our script, and our command in .venv."""
    root = tmp_path / "checkout"
    shutil.copytree(toy, root)
    shutil.copytree(ROOT / "tools", root / "tools")
    (root / "template/project/Makefile").write_text(MAKEFILE)
    (root / ".gitignore").write_text("/.venv/\n/demo/\n/demo-*/\n")
    command = root / ".venv/bin/scaffold"
    command.parent.mkdir(parents=True)
    run = f'exec {sys.executable} -m scaffold "$@" --template {root} --ref HEAD\n'
    command.write_text(f"#!/bin/sh\n{run}")
    command.chmod(0o755)
    commit_all(root)
    return root


def demo(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "tools/demo.sh", "demo"],
        cwd=root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_it_is_made_once_and_then_reused(checkout: Path) -> None:
    first = demo(checkout)
    assert first.returncode == 0, first.stderr
    assert "did rehearse" in first.stdout
    mine = checkout / "demo/src/late_flights/ingest.py"
    mine.write_text('"""Edited."""\n')
    again = demo(checkout)
    assert "used as it is" in again.stdout
    assert "did rehearse" in again.stdout
    assert mine.read_text() == '"""Edited."""\n'


def test_another_version_sets_the_old_one_aside(checkout: Path) -> None:
    demo(checkout)
    (checkout / "demo/mine.txt").write_text("mine")
    (checkout / "template/project/new.txt").write_text("new\n")  # Not committed: it is in too.
    done = demo(checkout)
    assert done.returncode == 0, done.stderr
    assert "was from another version" in done.stdout
    assert (checkout / "demo/new.txt").exists()
    (aside,) = checkout.glob("demo-*")
    assert (aside / "mine.txt").read_text() == "mine"


def test_elsewhere_it_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    """A machine without apt and without the tools: only the shell's own helpers are on its path."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "git", "sed", "tr", "dirname"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    done = demo(checkout, PATH=str(tools))
    assert done.returncode == 1
    assert "install haproxy prometheus alertmanager yourself" in done.stderr
    assert not (checkout / "demo").exists()
