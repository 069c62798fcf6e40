#!/usr/bin/env python3
"""Draw docs/images/interview.svg: the interview as it really runs, in a pseudo-terminal."""

import os
import re
import subprocess
import sys
import tempfile
from io import StringIO
from itertools import groupby
from pathlib import Path

import pexpect
import pyte
import yaml
from jinja2 import Template
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs/images/interview.svg"
COLUMNS, ROWS = 110, 160  # High enough for all of it: nothing scrolls away.
NAME = "late-flights"
FIRST, LAST = 18, 12  # lines that are shown: of the questions, and of the review
NAMES = {"brown": "yellow", "default": None}  # As pyte and Rich call the same colour.


def main() -> None:
    screen = pyte.Screen(COLUMNS, ROWS)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", ROOT, f"{folder}/template"], check=True)
        answer(screen, Path(folder))
    lines = [line(screen, row) for row in range(ROWS)]
    while not lines[-1].plain.strip():
        lines.pop()
    left_out = len(lines) - FIRST - LAST
    between = Text(f"   ... {left_out} lines: the other questions, and the files ...", "dim")
    PICTURE.write_text(drawn([*lines[:FIRST], between, *lines[-LAST:]]), encoding="utf-8")


def answer(screen: pyte.Screen, folder: Path) -> None:
    """Press Enter at each question, and stop where the draft is shown."""
    command = ["-m", "scaffold", "new", NAME, "--template", f"{folder}/template", "--ref", "HEAD"]
    child = pexpect.spawn(
        sys.executable,
        command,
        cwd=str(folder),
        env={**os.environ, "TERM": "xterm-256color"},
        dimensions=(ROWS, COLUMNS),
        encoding="utf-8",
        timeout=60,
    )
    screen.write_process_input = child.send  # It is asked where its cursor is.
    stream = pyte.Stream(screen)
    for question in [*questions(), "What now?"]:
        while question[:40] not in "\n".join(screen.display):
            stream.feed(child.read_nonblocking(65536, timeout=60))
        settle(child, stream)
        if question != "What now?":
            child.send("\r")
    child.close(force=True)


def questions() -> list[str]:
    """Return what is asked, in order, when the rows are the sample's."""
    interview = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    asked = (each for key, each in interview.items() if key[0] != "_")
    return [each["help"] for each in asked if comes_up(str(each.get("when", True)))]


def comes_up(when: str) -> bool:
    return Template(when).render(source="sample", model="tabular") == "True"


def settle(child: pexpect.spawn, stream: pyte.Stream) -> None:
    """Show what comes until it is quiet for a moment."""
    while True:
        try:
            stream.feed(child.read_nonblocking(65536, timeout=0.2))
        except (pexpect.TIMEOUT, pexpect.EOF):
            return


def line(screen: pyte.Screen, row: int) -> Text:
    text = Text()
    cells = (screen.buffer[row][column] for column in range(COLUMNS))
    for style, run in groupby(cells, key=style_of):
        text.append("".join(cell.data for cell in run), style)
    text.rstrip()
    return text


def style_of(cell: pyte.screens.Char) -> Style:
    return Style(color=colour(cell.fg), bold=cell.bold, italic=cell.italics, reverse=cell.reverse)


def colour(name: str) -> Color | None:
    name = NAMES.get(name, name)
    if name is None:
        return None
    return Color.parse(f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else name)


def drawn(lines: list[Text]) -> str:
    """Let Rich draw it; without the fonts that it would fetch from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    for each in lines:
        console.print(each, soft_wrap=True)
    svg = console.export_svg(title=f"scaffold new {NAME}", unique_id="interview")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE).rstrip() + "\n"


if __name__ == "__main__":
    main()
