"""The service under fire; and its benchmark still runs: ours and the floor, a second a cell."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT, make

pytestmark = [pytest.mark.slow, pytest.mark.stack]


def test_the_benchmark_measures_ours_beside_the_floor(project: Path, tmp_path: Path) -> None:
    make(project, "package", minutes=10)
    python = project / ".venv/bin/python"
    command = [python, ROOT / "benchmarks/serving/run.py", "--quick", "--only=ours,bare ASGI"]
    tools = f"{python.parent}:{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [*command, "--project", project, "--out", tmp_path],
        env=os.environ | {"PATH": tools},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    servers = json.loads((tmp_path / "results.json").read_text())["servers"]
    for cells in servers.values():
        assert all(cell.get("failed", 0) == 0 for cell in cells.values())
        assert cells["1 x 16"]["cpu_us"] > 0
    assert "| ours |" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "results.png").stat().st_size > 0


def test_under_fire_it_says_no_keeps_its_memory_and_answers_the_others(project: Path) -> None:
    make(project, "package", "up", minutes=10)
    try:
        command = [project / ".venv/bin/python", ROOT / "tests/fire.py", "--seconds=30"]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    finally:
        make(project, "down", minutes=2)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["garbage"]) <= {"400", "404", "405", "411", "413", "422", "429"}, told
    assert sum(told["garbage"].values()) > 500
    assert told["memory_mb"][1] < 1.1 * told["memory_mb"][0], told
    assert told["series"][1] <= told["series"][0] + 5, told  # a status that had not come yet
    assert told["slow_clients_cut"] == 50
    assert told["connections_cut"] == 2000
    assert max(told["good_p99_ms"], told["good_p99_ms_in_the_crowd"]) < 5000, told  # none failed
