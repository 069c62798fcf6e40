"""Make a release: a Bento that holds model, code, contract and promises under one content id."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from polars import selectors

from . import config, matrix, releases, remote, score
from .contract import check
from .stages import HISTORY, LEVELS, MODEL, PROFILE, RAW, REPORT, VALID, load_features, read_json, write_json

PACKAGE, NUMBER = Path(__file__).parents[1], "_number"
# The serving image holds what answers requests and nothing else: no DVC, no Evidently, no Polars.
SERVING = ["__init__", "__main__", "config", "releases", "matrix", "store", "score"]
SERVING += ["service", "front", "answers", "inputs", "predictions"]
SERVING += [n for n in ("encoder", "batches", "batch_scoring", "on_ray") if (PACKAGE / f"production/{n}.py").exists()]
CODE = ["__init__", "features", "train", *(f"production/{name}" for name in SERVING)]
FILES = [MODEL, LEVELS, PROFILE, *map(Path, ("contract.yaml", "slo.yaml", "requirements-serve.txt"))]
# The release is built in a folder that holds only these; its versions are pinned, so that no index is asked.
BENTOFILE: dict[str, Any] = {"include": [f"{PACKAGE.name}/**", "*.json", "*.txt", "*.yaml"]}
BENTOFILE |= {"service": f"{PACKAGE.name}.production.service:Service"}
BENTOFILE |= {"python": {"requirements_txt": "requirements-serve.txt", "lock_packages": False}}


def package() -> str:
    """Write releases/<id>/ and return the id; packaging the same parts again changes nothing."""
    if not MODEL.exists():
        raise config.Problem(f"package: {MODEL} not found; run `make train`")
    if stable := releases.stable():
        check(config.contract(releases.source(stable)), config.contract())
    with tempfile.TemporaryDirectory() as folder:
        root, code = Path(folder, "source"), {f"{PACKAGE.name}/{name}.py": PACKAGE / f"{name}.py" for name in CODE}
        kept = [*FILES, *Path("ops/derived").glob("gpu.json")]
        for name, source in ({str(path): path for path in kept} | code).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / name)
        if (encoder := config.contract().encoder) and Path(encoder.name).is_dir():
            shutil.copytree(encoder.name, root / encoder.name)
        (root / "bentofile.yaml").write_text(yaml.safe_dump(BENTOFILE), encoding="utf-8")
        _add_golden(root)
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        files = {path.relative_to(root).as_posix(): releases.digest(path) for path in paths}
        versions = {"data": releases.digest(RAW)}
        release = releases.identify(files | versions)
        judged = {"auc_at_release": read_json(REPORT)["model"]["auc"]} if REPORT.exists() else {}
        about = {"id": release, "files": files, "versions": versions, "outs": remote.outs(), "judged": judged}
        write_json(root / "release.json", about)
        if (releases.FOLDER / release).exists():
            releases.verify(releases.source(release))
            print(f"package: release {release} exists already")
        else:
            _build(root, Path(folder, "home"), release)
            releases.record("packaged", release=release)
            print(f"package: release {release} -> {releases.source(release)}")
    write_json(releases.PACKAGED, {"release": release})
    return release


def _add_golden(root: Path) -> None:
    """Add 50 golden rows: inputs with the answers that are right, asked again before any traffic."""
    contract, split = config.contract(), config.params().split
    numbered = pl.scan_parquet(VALID).with_row_index(NUMBER)
    unseen = numbered.filter(pl.col(contract.clock) >= split.train_until).head(20_000).collect()
    rows = unseen.gather_every(max(unseen.height // 50, 1)).head(50)
    values = rows.select(contract.row).with_columns(selectors.datetime().dt.to_string("iso")).to_dicts()
    engine = score.Engine(root)
    # As-of by the row's own time: outcomes are only added, so the same past gives the same answer later.
    asked, read = engine.store.recall(values)
    if not read:
        raise config.Problem(f"package: {HISTORY} cannot be read, and golden rows need their history; `make featurize`")
    predictions = engine.predict(asked)
    if bad := int((~np.isfinite(predictions)).sum()):
        raise config.Problem(f"package: the model answers NaN for {bad} of {len(values)} golden rows; see train.py")
    _refuse_skew(engine, asked, rows[NUMBER].to_numpy())
    write_json(root / "model/golden.json", {"rows": values, "answers": engine.answers(predictions.tolist())})


def _refuse_skew(engine: score.Engine, rows: list[dict[str, Any]], numbers: np.ndarray) -> None:
    """Stop if the features that the service computes, row by row, are not those that the model was trained on."""
    stored = load_features()[0]
    trained = matrix.encode({name: array[numbers] for name, array in stored.items()}, engine.codes)
    served = np.concatenate([engine.encode([row]) for row in rows])
    for name, one, other in zip(engine.levels, trained.T, served.T, strict=True):
        if differ := int((~np.isclose(one, other, rtol=0, atol=engine.contract.tolerance, equal_nan=True)).sum()):
            what = f"feature {name} differs between training and service in {differ} of {len(rows)} golden rows"
            raise config.Problem(f"package: {what}; see features.py, or run `make featurize` again")


def _build(root: Path, home: Path, release: str) -> None:
    extra = {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "bentoml", "build", "--version", release, "--output", "tag"]
    done = subprocess.run(command, cwd=root, env=os.environ | extra, capture_output=True, text=True)
    if done.returncode:
        raise config.Problem(f"package: BentoML cannot build: {(done.stderr or done.stdout)[-400:]}")
    (bento,) = (home / "bentos").glob(f"*/{release}")
    made = releases.FOLDER / f".{release}"
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(bento, made / "bento")
    releases.verify(made / "bento/src")
    os.replace(made, releases.FOLDER / release)
