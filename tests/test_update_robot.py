"""`make update` of an emitted repo: the template's own command, or Copier, stages what is new."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, git
from updating import OURS, edit, release

SCRIPT = ROOT / "template/project/deploy/local/update.sh"
COMMAND = [
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
]  # And src: what makes `scaffold`.


def updated(demo: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    shell = {key: value for key, value in os.environ.items() if key != "CI"} | environment
    shell["PATH"] = f"{Path(sys.executable).parent}:{shell['PATH']}"
    return subprocess.run(
        ["bash", SCRIPT], cwd=demo, env=shell, capture_output=True, text=True, timeout=300
    )


def test_the_template_s_own_command_stages_the_newest_version(origin: Path, demo: Path) -> None:
    for name in COMMAND:
        shutil.copy(ROOT / name, origin)
    shutil.copytree(ROOT / "src", origin / "src", dirs_exist_ok=True)
    release(origin, {OURS: '"""Ours, and newer."""\n'})
    done = updated(demo)
    assert done.returncode == 0, done.stdout + done.stderr
    staged = git(demo, "diff", "--cached", "--name-only").split()
    assert set(staged) == {OURS, ".copier-answers.yml"}
    assert "newer" in (demo / OURS).read_text()
    assert OURS in (demo / "reports/update.md").read_text()


def test_copier_alone_ends_where_both_sides_changed_a_line(origin: Path, demo: Path) -> None:
    edit(demo, {OURS: '"""Mine."""\n'})
    release(origin, {OURS: '"""Theirs."""\n', "new.txt": "new\n"})
    done = updated(demo)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{OURS}:1:<<<<<<< before updating" in done.stdout
    assert "new.txt" in git(demo, "diff", "--cached", "--name-only")


def test_a_template_of_another_machine_is_no_reason_to_fail_each_week(demo: Path) -> None:
    answers = demo / ".copier-answers.yml"
    lines = answers.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("_src_path")]
    answers.write_text("\n".join([*kept, "_src_path: /nowhere/template"]) + "\n")
    assert updated(demo).returncode == 1
    done = updated(demo, CI="true")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "::notice::update: .copier-answers.yml: _src_path /nowhere/template is not"
    )
