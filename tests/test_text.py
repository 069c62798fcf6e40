"""A project of text: real reports, a real encoder, its own tests; and texts of your own."""

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml

from conftest import CLI, make
from servers import listen_elsewhere

# Where pip is told of a folder of wheels, uv takes torch from there; else from an index of its own.
WHEELS = os.environ.get("PIP_FIND_LINKS")
PIP = f"PIP=env -u UV_TORCH_BACKEND UV_FIND_LINKS={WHEELS} uv pip" if WHEELS else "PIP=uv pip"
# What text changes: the other tests hold, or fail, with the same code in every project.
OWN = "tests/test_encoder.py tests/test_service.py"
OWN += " tests/test_flow.py::test_one_row_equals_the_batch"


@pytest.fixture(scope="module")
def strikes(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The default project of text, set up."""
    root = tmp_path_factory.mktemp("text") / "strikes"
    new = [*CLI, "new", root, "--yes", "--data", "model=text", "--template", template]
    subprocess.run(new, check=True, capture_output=True)
    listen_elsewhere(root / "params.yaml")
    params = (root / "params.yaml").read_text()
    # A third of the reports: beside other tests, all take many minutes to encode.
    (root / "params.yaml").write_text(params.replace("rows: 1000000", "rows: 6000"))
    make(root, "setup", PIP, minutes=15)
    yield root
    shutil.rmtree(root / ".venv")


@pytest.mark.slow
def test_the_sample_passes_its_own_tests_and_is_released(strikes: Path) -> None:
    said = make(strikes, "test", "package", f"PYTEST_ADDOPTS={OWN}", minutes=20)
    report = json.loads((strikes / "reports/evaluate.json").read_text())
    assert report["model"]["auc"] > 0.8
    assert " failed" not in said
    assert len([path for path in (strikes / "releases").iterdir() if path.is_dir()]) == 1


@pytest.mark.slow
def test_texts_of_your_own_are_found_read_and_released(
    strikes: Path, template: Path, tmp_path: Path
) -> None:
    rows = pl.read_parquet(strikes / "data/raw.parquet").tail(3000)
    some = rows.select("remarks", "sky", "speed", "struck_at", hit=pl.col("affected").cast(pl.Int8))
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([some.columns, *some.rows()])
    root = tmp_path / "own"
    options = ["--from-data", tmp_path / "rows.csv", "--target", "hit", "--data", "model=text"]
    new = [*CLI, "new", root, "--yes", *options, "--template", template]
    subprocess.run(new, check=True, capture_output=True)
    contract = yaml.safe_load((root / "contract.yaml").read_text())
    assert contract["columns"]["remarks"]["type"] == "text"
    assert contract["encoder"]["millions"] == 22.7
    (root / ".venv").symlink_to(strikes / ".venv")
    make(root, "setup", "package", PIP, minutes=10)
    report = json.loads((root / "reports/evaluate.json").read_text())
    assert report["model"]["auc"] > 0.75
