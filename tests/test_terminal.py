"""What every command owes to who types it, and to who pipes it: help, colours, JSON, exit codes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from typer.main import get_command

from conftest import CLI, Scaffold
from scaffold.cli import app
from updating import Typed

COMMANDS = ["adopt", "check", "diff", "explain", "new", "status", "update"]
HEAVY = {"copier", "polars", "pydantic", "questionary", "rich", "yaml"}


def test_help_and_version_wake_no_library(scaffold: Scaffold) -> None:
    for options in (("--help",), ("--version",)):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *CLI[1:], *options], capture_output=True, text=True
        )
        woken = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
        assert done.returncode == 0
        assert re.search("Usage: |^scaffold ", done.stdout)
        assert "typer" in woken
        assert not woken & HEAVY, options
    for name in COMMANDS:
        said = scaffold(name, "--help")
        assert (said.returncode, said.stderr) == (0, "")
        assert "  --json " in said.stdout, name


def test_the_list_of_commands_is_whole() -> None:
    assert sorted(get_command(app).commands) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("mistake", ["nowhere", "--frobnicate"])
def test_a_mistake_is_json_and_one_line(
    name: str, mistake: str, typed: Typed, tmp_path: Path
) -> None:
    (tmp_path / "nowhere").write_text("a file, and no folder")
    line = {"explain": "nowhere:1"}.get(name, "nowhere") if mistake == "nowhere" else mistake
    code, said, complaint = typed(name, line, "--json")
    told = json.loads(said)
    assert (code, told["exit_code"]) == (2, 2)
    assert told["error"].keys() == {"where", "what", "way_out"}
    assert all(told["error"].values())
    assert (complaint.count("\n"), complaint[:10]) == (1, "scaffold: ")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("X", "")])
def test_colours_can_be_turned_off(name: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sklearn\n")
    shell = {key: text for key, text in os.environ.items() if key != "NO_COLOR"}
    shell |= {"TERM": "xterm-256color", name: value}
    child = pexpect.spawn(
        CLI[0], [*CLI[1:], "check"], cwd=str(tmp_path), env=shell, encoding="utf-8", timeout=60
    )
    said = child.read()
    child.close()
    assert "of 7" in said
    coloured = re.search(r"\x1b\[[0-9;]*3[0-9]", said)
    assert bool(coloured) == (name == "X")
