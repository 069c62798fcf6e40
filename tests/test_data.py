"""The file of rows: read in pieces, with what the generator installs, and put into the project."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import CLI, FILES_ANSWERS
from scaffold.data import Data
from scaffold.errors import Problem
from test_from_data import GOOD, table, written

# What the emitted repo installs and this project does not.
FOREIGN = ["bentoml", "dataframely", "dvc", "evidently", "lightgbm", "matplotlib", "pandas"]
FOREIGN += ["psutil", "pyarrow", "scipy", "sklearn", "supervisor"]
ALONE = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({FOREIGN}))
runpy.run_module("late_flights.production", run_name="__main__")
"""


@pytest.mark.parametrize("verb", ["contract", "plan"])
def test_inference_and_planner_need_nothing_that_only_the_emitted_repo_installs(
    verb: str, render: Callable[..., Path], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    answers = {**FILES_ANSWERS, "time_column": "", "id_column": ""}
    shutil.copytree(render(**answers), root)
    (root / "data/incoming").mkdir(parents=True)
    written(root / "data/incoming/in.csv", table(["a", "b", "c"], "late"))
    command = [sys.executable, "-c", ALONE, verb, "--json"]
    shell = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(command, cwd=root, env=shell, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_a_file_on_another_file_system_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    (tmp_path / "in.csv").write_text(GOOD)
    data = Data.chosen(tmp_path / "in.csv", "y", None, None)
    assert data
    monkeypatch.setattr("os.link", refuse)
    data.deliver(tmp_path / "there")
    assert (tmp_path / "there/in.csv").read_text() == GOOD
    assert not (tmp_path / "there/in.csv").samefile(tmp_path / "in.csv")
    (tmp_path / "in.csv").unlink()
    with pytest.raises(Problem, match="no such file"):
        data.deliver(tmp_path / "elsewhere")


PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)  # KiB, of the largest process
sys.exit(code)
"""


@pytest.mark.slow
def test_a_large_file_is_read_piece_by_piece(template: Path, tmp_path: Path) -> None:
    """A gigabyte of rows is proposed in less memory than it takes on the disk."""
    chance = random.Random(3)
    lines = [
        ",".join([*(f"{chance.gauss(0, 1):.6f}" for _ in range(18)), chance.choice("abc")])
        for _ in range(10_000)
    ]
    names = [*(f"x{at}" for at in range(18)), "kind", "when", "y"]
    with (tmp_path / "in.csv").open("w") as file:
        file.write(",".join(names) + "\n")
        for at in range(0, 5_500_000, len(lines)):
            file.writelines(
                f"{line},{1_600_000_000 + at + n},{(at + n) * 31 % 7 % 2}\n"
                for n, line in enumerate(lines)
            )
    assert (tmp_path / "in.csv").stat().st_size > 1e9
    options = ["--from-data", "in.csv", "--target", "y", "--time", "when", "--template", template]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *CLI, "new", "demo", "--yes", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) * 1024 < 1e9
    assert "when" in (tmp_path / "demo/contract.yaml").read_text()
