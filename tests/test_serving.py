"""The serving benchmark still runs: ours and the floor, a second a cell."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT, make

pytestmark = pytest.mark.slow


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
