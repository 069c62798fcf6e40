"""Make a release: a Bento that holds model, code, contract and promises under one content id."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from . import config, releases, score
from .stages import LEVELS, MODEL, PROFILE, RAW, VALID, read_json, write_json

GOLDEN_ROWS = 50
PACKAGE = Path(__file__).parents[1]
# The serving image holds what answers requests and nothing else: no DVC, no Evidently, no Polars.
MACHINERY = ["__init__", "__main__", "config", "matrix", "predictions", "releases", "score", "service"]


def package() -> str:
    """Write releases/<id>/ and return the id; packaging the same parts again changes nothing."""
    if not MODEL.exists():
        raise config.Problem(f"package: {MODEL} not found; run `make train`")
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder, "source"), Path(folder, "home")
        _stage(root)
        release = _seal(root)
        if (releases.FOLDER / release).exists():
            releases.verify(releases.source(release))
            print(f"package: release {release} exists already")
        else:
            _build(root, home, release)
            releases.record("packaged", release=release)
            print(f"package: release {release} -> {releases.source(release)}")
    write_json(Path("reports/package.json"), {"release": release})
    return release


def _stage(root: Path) -> None:
    """Copy what the release holds, and add golden rows: inputs with the answers that are right."""
    machinery = root / PACKAGE.name / "production"
    machinery.mkdir(parents=True)
    for name in ["__init__", "features", "train"]:
        shutil.copy(PACKAGE / f"{name}.py", machinery.parent)
    for name in MACHINERY:
        shutil.copy(PACKAGE / "production" / f"{name}.py", machinery)
    (root / "model").mkdir()
    for path in [MODEL, LEVELS, PROFILE]:
        shutil.copy(path, root / path)
    for name in ["contract.yaml", "slo.yaml", "bentofile.yaml", "requirements-serve.txt"]:
        shutil.copy(name, root)
    _golden(root)


def _golden(root: Path) -> None:
    contract, split = config.contract(), config.params().split
    live = pl.scan_parquet(VALID).filter(pl.col(contract.time) >= split.train_until)
    rows = live.head(20_000).collect().gather_every(400).head(GOLDEN_ROWS)
    names = [*contract.columns, contract.time]
    values = rows.select(names).with_columns(pl.col(contract.time).cast(pl.String)).to_dicts()
    answers = score.Engine(root).predict(values)
    if not np.isfinite(answers).all():
        bad = int((~np.isfinite(answers)).sum())
        raise config.Problem(f"package: the model answers NaN for {bad} of {len(values)} golden rows")
    write_json(root / "model/golden.json", {"rows": values, "probabilities": answers.tolist()})


def _seal(root: Path) -> str:
    files = releases.digests(root, [path for path in root.rglob("*") if path.is_file()])
    versions = {"data": releases.digests(RAW.parent, [RAW])[RAW.name]}
    release = releases.identify(files | versions)
    write_json(root / "release.json", {"id": release, "files": files, "versions": versions})
    return release


def _build(root: Path, home: Path, release: str) -> None:
    environment = os.environ | {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": str(root),
    }
    command = [sys.executable, "-m", "bentoml", "build", "--version", release, "--output", "tag"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise config.Problem(f"package: BentoML cannot build: {(done.stderr or done.stdout)[-400:]}")
    (bento,) = (home / "bentos").glob(f"*/{release}")
    made = releases.FOLDER / f".{release}"
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(bento, made / "bento")
    releases.verify(made / "bento" / "src")
    os.replace(made, releases.FOLDER / release)
