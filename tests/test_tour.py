"""The commands of the documents: each is typed here, or is a verb that other tests run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from conftest import CLI, ROOT, Scaffold

sys.path.insert(0, str(ROOT / "tools/docs"))
import tour

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
SET_UP = "make setup"
ROWS = "churned,age,spent\n" + "".join(f"{n % 2},{n % 71},{n * 7 % 501}\n" for n in range(700))
# Without a terminal nobody can answer: what has to be said instead.
TYPED = {
    "scaffold new late-flights": "--defaults",
    "scaffold new churn --from-data customers.csv --target churned": "--yes",
    "scaffold check": "",
    "scaffold update --dry-run": "",
    "scaffold update": "--yes",
}
ELSEWHERE = {  # What runs them.
    "pip install .": "tools/venv.sh",
    "copier copy . late-flights": "tests/test_copier.py",
    "scaffold adopt": "tests/test_adopt.py",
    "git diff --stat HEAD scaffold/adopt": "tests/test_adopt.py",
    "git merge scaffold/adopt": "tests/test_adopt.py",
}


def commands() -> set[str]:
    blocks = [block for page in PAGES for block in SHELL.findall(page.read_text())]
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return {line for line in lines if line}


def test_every_command_of_the_documents_is_known_and_run() -> None:
    verbs = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    known = {*TYPED, *ELSEWHERE, *(f"make {verb}" for verb in verbs)}
    assert commands() <= known
    assert {*TYPED, *ELSEWHERE} <= commands()
    for command, place in ELSEWHERE.items():
        assert command.split()[1] in (ROOT / place).read_text(), command


def test_the_commands_about_a_new_project_do_what_is_said(
    scaffold: Scaffold, tmp_path: Path
) -> None:
    (tmp_path / "customers.csv").write_text(ROWS)
    for command, more in TYPED.items():
        if " new " in command:
            done = scaffold(*shlex.split(command)[1:], *more.split())
            assert done.returncode == 0, command + done.stderr
    assert (tmp_path / "late-flights/slo.yaml").exists()
    assert "churned" in (tmp_path / "churn/contract.yaml").read_text()


def test_the_commands_in_a_project_do_what_is_said(demo: Path) -> None:
    for command, more in TYPED.items():
        if " new " not in command:
            words = [*CLI, *shlex.split(command)[1:], *more.split()]
            done = subprocess.run(words, cwd=demo, capture_output=True, text=True)
            assert done.returncode == 0, command + done.stdout + done.stderr


def test_the_tour_says_what_its_commands_say(tmp_path: Path) -> None:
    """Up to the first that installs something; `make` of a project goes on in the slow tests."""
    steps = tour.steps(tour.TOUR.read_text())
    quick = steps[: next(n for n, step in enumerate(steps) if SET_UP in step.command)]
    assert len(quick) >= 4
    folder = tmp_path
    for step in quick:
        done, folder = tour.run(step, folder)
        assert done.same() == step.same()


def test_another_answer_than_the_page_s_is_seen() -> None:
    text = "```console\n$ echo one 12\none 12\n$ cd /\n```\n"
    steps = tour.steps(text)
    assert [step.command for step in steps] == ["echo one 12", "cd /"]
    found = [tour.run(step, ROOT) for step in steps]
    assert found[0][0].same() == steps[0].same()
    assert tour.run(tour.Step("echo two 12", ""), ROOT)[0].same() != steps[0].same()
    assert found[1][1] == Path("/")
    changed = [tour.Step("echo one 12", "one 13"), steps[1]]
    assert tour.written(text, changed) == text.replace("\none 12", "\none 13")
