"""The interview in a real terminal: Enter all the way, second thoughts, and a sudden end."""

import html
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
import yaml
from jinja2 import Template

from conftest import CLI
from scaffold.cli_review import CHANGE, LEAVE, WRITE

DOWN, CTRL_C = "\x1b[B", "\x03"
Terminal = Callable[..., pexpect.spawn]


@pytest.fixture
def terminal(tmp_path: Path, toy: Path) -> Iterator[Terminal]:
    """Type a scaffold command into a terminal of 120 columns."""
    opened: list[pexpect.spawn] = []

    def start(*options: str) -> pexpect.spawn:
        child = pexpect.spawn(
            CLI[0],
            [*CLI[1:], "new", "demo", "--template", str(toy), *options],
            cwd=str(tmp_path),
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
            dimensions=(50, 120),
            encoding="utf-8",
            timeout=30,
        )
        opened.append(child)
        return child

    yield start
    for child in opened:
        child.close(force=True)


def questions(source: str) -> list[str]:
    """The first words of every question that is asked, in order."""
    with (Path(__file__).parents[1] / "copier.yml").open() as file:
        interview = yaml.safe_load(file)
    asked = [
        details
        for key, details in interview.items()
        if not key.startswith("_") and details.get("when") is not False
    ]
    shown = [
        each
        for each in asked
        if Template(each.get("when", "True")).render(source=source, model="tabular") == "True"
    ]
    return [each["help"][:40] for each in shown]


def ended(child: pexpect.spawn) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus)


def answers(tmp_path: Path) -> dict[str, object]:
    return dict(yaml.safe_load((tmp_path / "demo/.copier-answers.yml").read_text()))


def left_behind(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


def test_enter_all_the_way_writes_the_default_project(terminal: Terminal, tmp_path: Path) -> None:
    child = terminal()
    for question in questions("sample"):
        child.expect_exact(question)
        child.send("\r")
    child.expect_exact("The plan")
    child.expect_exact("What now?")
    child.send("\r")
    child.expect_exact("make -C demo setup rehearse")
    assert ended(child) == 0
    assert answers(tmp_path)["peak_rps"] == 50
    assert left_behind(tmp_path) == ["demo"]


def test_files_of_your_own_bring_their_questions(terminal: Terminal, tmp_path: Path) -> None:
    child = terminal()
    for question in questions("files"):
        child.expect_exact(question)
        child.send(DOWN + "\r" if question.startswith("Where does the data") else "\r")
    child.expect_exact("What now?")
    child.send("\r")
    assert ended(child) == 0
    assert answers(tmp_path)["files_path"] == "data/incoming"


def test_a_bad_answer_is_asked_again(terminal: Terminal) -> None:
    child = terminal()
    child.expect_exact("What kind of model")
    child.send("\r")
    child.expect_exact("Name of the project")
    child.send("_x\r")
    child.expect_exact("use lower-case words joined by hyphens")
    child.send(CTRL_C)
    assert ended(child) == 130


def go_back_to(child: pexpect.spawn, key: str) -> None:
    """Choose `Change an answer` and then one of them, by its place in the list."""
    child.expect_exact("What now?")
    child.expect_exact("Leave")
    child.send(DOWN + "\r")
    child.expect_exact("Which answer?")
    child.expect_exact("Back")
    listed = ["availability_percent", "batch_scoring", "business_metric", "cost_per_1000"]
    child.send(DOWN * listed.index(key) + "\r")


def test_one_answer_can_be_changed_and_the_others_stay(terminal: Terminal, tmp_path: Path) -> None:
    child = terminal("--defaults", "--data", "peak_rps=80")
    go_back_to(child, "cost_per_1000")
    child.expect_exact("What may 1000 predictions cost")
    child.send("\x7f" * 4 + "0.5\r")
    child.expect_exact("What now?")
    child.send("\r")
    assert ended(child) == 0
    assert (answers(tmp_path)["peak_rps"], answers(tmp_path)["cost_per_1000"]) == (80, 0.5)
    assert left_behind(tmp_path) == ["demo"]


def test_changing_the_source_asks_what_it_brings_up(terminal: Terminal, tmp_path: Path) -> None:
    child = terminal("--defaults")
    child.expect_exact("What now?")
    child.send(DOWN + "\r")
    child.expect_exact("Which answer?")
    child.expect_exact("Back")
    child.send("\x1b[A" * 6 + "\r")  # Up from the first goes round to the end of the list.
    child.expect_exact("Where does the data come from")
    child.send(DOWN + "\r")
    for question in ("Which file or folder", "Which column is to", "Which column says"):
        child.expect_exact(question)
        child.send("\r")
    child.expect_exact("Which column identifies")
    child.send("\x7f\x7fkey\r")
    child.expect_exact("What now?")
    child.send("\r")
    assert ended(child) == 0
    assert (answers(tmp_path)["source"], answers(tmp_path)["id_column"]) == ("files", "key")


def test_infeasible_promises_offer_no_write(terminal: Terminal, tmp_path: Path) -> None:
    child = terminal("--defaults", "--data", "peak_rps=2000")
    child.expect_exact("cannot be kept together")
    child.expect_exact("What now?")
    child.expect_exact("Leave")
    assert "Write it" not in child.before
    child.send(DOWN + "\r")
    assert ended(child) == 1
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("moment", ["Name of the project", "What is one correct", "What now?"])
def test_ctrl_c_leaves_nothing_behind(
    moment: str,
    terminal: Terminal,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clones = tmp_path_factory.mktemp("clones")
    monkeypatch.setenv("TMPDIR", str(clones))
    child = terminal()
    for question in [*questions("sample"), "What now?"]:
        child.expect_exact(question)
        if question.startswith(moment[:19]):
            break
        child.send("\r")
    child.send(CTRL_C)
    child.expect_exact("Stopped: nothing was written.")
    assert ended(child) == 130
    assert left_behind(tmp_path) == []
    assert not list(clones.glob("copier*"))


def test_a_closed_terminal_leaves_nothing_behind(terminal: Terminal, tmp_path: Path) -> None:
    child = terminal("--defaults")
    child.expect_exact("What now?")
    assert any(name.startswith(".scaffold-") for name in left_behind(tmp_path))
    child.kill(signal.SIGTERM)
    assert ended(child) == 130
    assert left_behind(tmp_path) == []


def test_the_picture_shows_the_interview_as_it_is() -> None:
    svg = (Path(__file__).parents[1] / "docs/images/interview.svg").read_text(encoding="utf-8")
    texts = re.findall(r"<text[^>]*>(.*?)</text>", svg)
    shown = html.unescape("".join(texts)).replace("\N{NO-BREAK SPACE}", " ")
    places = [shown.find(question) for question in questions("sample")[:9]]
    assert -1 not in places, "make picture draws it anew"
    assert places == sorted(places)
    for words in ("The plan", "What now?", WRITE, CHANGE, LEAVE):
        assert words in shown, "make picture draws it anew"
    assert "@font-face" not in svg  # It fetches nothing.
