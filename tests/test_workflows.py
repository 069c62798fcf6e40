"""What the emitted workflows run is there, and the script of one of them does what it says."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import commit_all, git

Render = Callable[..., Path]
GH = '#!/bin/sh\necho "$@" >> {log}\n'


def steps(project: Path) -> list[tuple[str, str]]:
    """Each command of each workflow, with the workflow's name."""
    found = []
    for path in sorted((project / ".github/workflows").glob("*.yml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            found += [(path.stem, step["run"]) for step in job["steps"] if "run" in step]
    return found


def test_every_step_is_a_verb_or_a_script_that_is_there(render: Render) -> None:
    verbs = set(re.findall(r"(?m)^([a-z-]+):", (render() / "Makefile").read_text()))
    commands = steps(render())
    assert {name for name, _ in commands} == {"ci", "retrain"}
    for _, command in commands:
        kind, what = re.fullmatch(r"(make|bash) (\S+)", command).groups()  # type: ignore[union-attr]
        assert what in verbs if kind == "make" else (render() / what).is_file()


def test_a_retraining_is_proposed_on_a_branch_with_its_tag(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, root, log = tmp_path / "origin.git", tmp_path / "project", tmp_path / "gh.log"
    subprocess.run(["cp", "-r", render(), root], check=True)
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    git(root, "init", "--quiet", "--initial-branch=main")
    commit_all(root)
    git(root, "remote", "add", "origin", str(origin))
    git(root, "push", "--quiet", "origin", "main")
    # What `make retrain` leaves: a moved split, a lock, a page, and a tag that no branch leads to.
    split = (root / "params.yaml").read_text().replace("2013-04-01", "2013-05-01")
    (root / "params.yaml").write_text(split)
    (root / "dvc.lock").write_text("schema: '2.0'\n")
    made = git(root, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "Release 0123").strip()
    git(root, "tag", "--annotate", "--message", "0123", "late_flights@v1.2.0", made)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gh").write_text(GH.format(log=log))
    (tmp_path / "bin/gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for _ in range(2):  # A second run on the same day is no other branch.
        subprocess.run(["bash", "deploy/local/propose.sh"], cwd=root, check=True)
        (root / "docs").mkdir(exist_ok=True)
        (root / "docs/again.md").write_text("again\n")
    (branch,) = re.findall(r"refs/heads/(retrain-\S+)", git(origin, "show-ref"))
    assert "2013-05-01" in git(origin, "show", f"{branch}:params.yaml")
    assert "late_flights@v1.2.0" in git(origin, "tag")
    assert f"pr create --head {branch}" in log.read_text()
    assert "--body-file reports/candidate.md" in log.read_text()
