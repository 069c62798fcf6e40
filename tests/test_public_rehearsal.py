"""Ten classes, and no time: as far from the sample as it gets. It survives its rehearsal."""

import subprocess
from pathlib import Path

import pytest

from conftest import CLI, make
from test_public_data import public


@pytest.mark.slow
@pytest.mark.stack
def test_a_set_without_time_survives_its_rehearsal(
    project: Path, template: Path, tmp_path: Path
) -> None:
    root = tmp_path / "digits"
    public("digits", tmp_path / "rows.csv")
    options = ["--from-data", tmp_path / "rows.csv", "--target", "target"]
    new = [*CLI, "new", root, "--yes", *options, "--template", template]
    subprocess.run(new, check=True, capture_output=True)
    (root / ".venv").symlink_to(project / ".venv")
    (project / ".venv/ready").unlink()  # `make setup` moves the environment here, and back.
    make(root, "setup", "rehearse", minutes=10)
    assert (root / "reports/rehearsal.html").stat().st_size > 0
    (project / ".venv/ready").unlink()
    make(project, "setup")
