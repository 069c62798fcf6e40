"""Each release brings edited projects of every earlier one to itself, and they pass their tests.

The earlier ones are the tags of this repository, and a made-up one, so that there always is one.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import (
    CLI,
    FILES_ANSWERS,
    ROOT,
    break_guards,
    commit_all,
    contents,
    git,
    make,
    tracked_files,
)
from servers import listen_elsewhere

MADE_UP, NEXT = "v0.0.1", "v999.0.0"
LOCAL = "template/project/deploy/local"
PRODUCTION = "src/late_flights/production"
TAGS = git(ROOT, "tag", "--list", "v*").split()
ANSWERS: dict[str, dict[str, str]] = {"sample": {}, "files": FILES_ANSWERS}


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository with its tags, a made-up first version, and the checkout as the newest."""
    root = tmp_path_factory.mktemp("history") / "template"
    git(tmp_path_factory.getbasetemp(), "clone", "--quiet", str(ROOT), str(root))
    _replace(root)
    project = root / "template/project"
    git(root, "mv", f"{LOCAL}/tag.sh", f"{LOCAL}/mark.sh")
    (project / "ops/old.md").write_text("# Gone since\n")
    (project / ".dvcignore").unlink()
    with (project / "Makefile.jinja").open("a") as file:
        file.write("\n# Gone since.\n")
    commit_all(root, "the made-up version")
    git(root, "tag", MADE_UP)
    _replace(root)
    commit_all(root, "the next version")
    git(root, "tag", NEXT)
    return root


def _replace(root: Path) -> None:
    """Bring the checkout's files into a clone."""
    git(root, "rm", "--quiet", "-r", "--force", ".")
    for path in tracked_files():
        copy = root / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    git(root, "add", "--all")


def upgraded(
    history: Path, folder: Path, version: str, answers: dict[str, str]
) -> tuple[Path, dict[str, str]]:
    """Make a project of a version, edit it, bring it to the newest one; return what happened."""
    root = folder / "project"
    given = [f"--data={key}={value}" for key, value in answers.items()]
    new = [*CLI, "new", root, "--defaults", "--template", history, "--ref", version, *given]
    subprocess.run(new, check=True, capture_output=True)
    for path, line in EDITS.items():
        (root / path).write_text(line + (root / path).read_text())
    (root / "own.txt").write_text("own\n")
    commit_all(root, "mine")
    done = subprocess.run([*CLI, "update", root, "--yes", "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["before"], said["after"]) == (version, NEXT)
    commit_all(root, "update")
    return root, {change["path"]: change["kind"] for change in said["changes"]}


EDITS = {
    "slo.yaml": "# Mine.\n",
    "README.md": "Mine.\n\n",
    "Makefile": "# Mine.\n",
    "dvc.yaml": "# Mine.\n",
    f"{PRODUCTION}/plan.py": "# Mine.\n",
}


@pytest.mark.parametrize("source", ANSWERS)
@pytest.mark.parametrize("version", [MADE_UP, *TAGS])
def test_an_edited_project_of_each_version_becomes_the_newest_with_its_edits(
    version: str, source: str, history: Path, tmp_path: Path
) -> None:
    root, happened = upgraded(history, tmp_path, version, ANSWERS[source])
    fresh = tmp_path / "fresh/project"
    given = [f"--data={key}={value}" for key, value in ANSWERS[source].items()]
    new = [*CLI, "new", fresh, "--defaults", "--template", history, *given]
    subprocess.run(new, check=True, capture_output=True)
    wanted, found = contents(fresh), contents(root)
    for path, line in EDITS.items():
        wanted[path] = line.encode() + wanted[path]
    assert found.pop("own.txt") == b"own\n"
    ours = {path for path in {*wanted, *found} if happened.get(path) != "seeded"}
    assert {path: found.get(path) for path in ours} == {path: wanted.get(path) for path in ours}
    assert {"slo.yaml", "README.md", "src/late_flights/train.py"} <= {*happened} - ours


@pytest.mark.slow
@pytest.mark.parametrize("version", [MADE_UP, *TAGS])
def test_and_passes_its_own_tests(
    version: str, history: Path, project: Path, tmp_path: Path
) -> None:
    root, _ = upgraded(history, tmp_path, version, {})
    listen_elsewhere(root / "params.yaml")
    (root / ".venv").symlink_to(project / ".venv")
    (project / ".venv/ready").unlink()  # `make setup` moves the environment here, and back.
    make(root, "setup", "check", minutes=15)
    assert " passed" in make(root, "test", "package", minutes=15)
    break_guards(root)
    (project / ".venv/ready").unlink()
    make(project, "setup")
