"""An update in a terminal: what is asked, and what leaving does."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from conftest import CLI
from updating import at_rest, edit, release

Terminal = Callable[[], pexpect.spawn]
DOWN, CTRL_C = "\x1b[B", "\x03"


@pytest.fixture
def terminal(origin: Path, demo: Path, tmp_path: Path) -> Iterator[Terminal]:
    """Type the command in a terminal, for a template with a question and a picture that are new."""
    edit(demo, {"picture.bin": b"\0mine"})
    with (origin / "copier.yml").open("a") as file:
        file.write("words:\n  type: int\n  default: 3\n  help: How many words?\n")
    release(origin, {"picture.bin": b"\0theirs", "words.txt.jinja": "{{ words }}\n"})
    opened: list[pexpect.spawn] = []

    def start() -> pexpect.spawn:
        shell = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        options = {"cwd": str(demo), "env": shell, "dimensions": (50, 120), "timeout": 60}
        opened.append(pexpect.spawn(CLI[0], [*CLI[1:], "update"], encoding="utf-8", **options))
        return opened[-1]

    yield start
    for child in opened:
        child.close(force=True)


def ended(child: pexpect.spawn) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus)


def test_in_a_terminal_new_questions_and_what_cannot_be_merged_are_asked(
    demo: Path, terminal: Terminal
) -> None:
    child = terminal()
    child.expect_exact("How many words?")
    child.send("\b5\r")
    child.expect_exact("Yours is kept, unless you say otherwise")
    child.expect_exact("picture.bin?")
    child.send(DOWN + "\r")
    child.expect_exact("What now?")
    child.send("\r")
    child.expect_exact("Look at it: git diff --cached")
    assert ended(child) == 0
    assert (demo / "picture.bin").read_bytes() == b"\0theirs"
    assert (demo / "words.txt").read_text() == "5\n"
    assert "words: 5" in (demo / ".copier-answers.yml").read_text()


@pytest.mark.parametrize(("keys", "code"), [(DOWN + "\r", 1), (CTRL_C, 130)])
def test_who_leaves_changes_nothing(keys: str, code: int, demo: Path, terminal: Terminal) -> None:
    before, child = at_rest(demo), terminal()
    child.expect_exact("How many words?")
    child.send("\r")
    child.expect_exact("picture.bin?")
    child.send("\r")
    child.expect_exact("What now?")
    child.send(keys)
    assert ended(child) == code
    assert at_rest(demo) == before
    assert not (demo / ".git/scaffold-update").exists()
