"""Make a candidate of the newest labels and compare it with the release in service: it promotes nothing."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import polars as pl

from . import budget, config, package, plan, promises, releases, remote
from .stages import REPORT, VALID, read_json, write_json

PARAMS, CANDIDATE = Path("params.yaml"), Path("reports/candidate.json")
# One row at a time, as most requests bring it: look up its past, make its features, predict.
TIMED = """
import itertools, json, pathlib, timeit, {}.production.score as score
engine, rows = score.Engine(pathlib.Path()), itertools.cycle(json.load(open("model/golden.json"))["rows"])
seen = sorted(timeit.repeat(lambda: engine.predict(engine.store.recall([next(rows)])[0]), number=1, repeat=1000))
print(1000 * seen[500], 1000 * seen[990], sum(seen) / 3600)
"""


def retrain(until: datetime | None = None) -> None:
    """Read new rows, move the split to them, train, judge, package; where a gate fails, params.yaml is put back."""
    budget.check("retrain")
    before = {path: path.read_bytes() for path in (PARAMS, remote.LOCK) if path.exists()}
    try:
        _dvc("--force", "ingest")
        _dvc("validate")
        config.set_params(**_split(until))
        _dvc("evaluate")
        release = package.package()
    except BaseException:
        for path, text in before.items():
            path.write_bytes(text)
        raise
    _page(release, "which serves")
    print(f"retrain: {release} is compared in {CANDIDATE.with_suffix('.md')}; `make promote` lets it in")


def compare() -> None:
    """Package what was judged last, gates held or not, and compare it; see deploy/local/compare.sh."""
    _page(package.package(), "which its base makes")


def _page(release: str, which: str) -> None:
    """Write reports/candidate.json and .md: this release beside the champion, and in the headline which that is."""
    facts, usd_per_hour = read_json(REPORT) | {"which": which}, promises.inputs()["price"]["usd_per_hour"]
    for role, name in {"model": release, "champion": releases.stable()}.items():
        if role in facts and name:
            p50, p99, hours = map(float, releases.ask(name, "-c", TIMED.format(package.PACKAGE.name)).split())
            facts[role] |= {"release": name, "p50_ms": p50, "p99_ms": p99, "usd_per_1000": hours * usd_per_hour}
    write_json(CANDIDATE, facts)
    CANDIDATE.with_suffix(".md").write_text(plan.page("candidate.md", facts), encoding="utf-8")


def _split(until: datetime | None) -> dict[str, str]:
    """Return the split that judges on the newest whole days of labels, as long as before, and trains on all before."""
    contract, split = config.contract(), config.params().split
    if not contract.time:  # new rows are among the old ones
        return {}
    told = pl.scan_parquet(VALID).filter(pl.col(contract.target).is_not_null()).select(pl.col(contract.clock).max())
    newest = told.collect().item()
    end = min(newest, until.replace(tzinfo=None)) if until else datetime.combine(newest, datetime.min.time())
    if end <= split.evaluate_until:
        what = f"no label between {split.evaluate_until} (split.evaluate_until) and {end}"
        raise config.Problem(f"retrain: {what}; bring newer rows, or `make package` with the split as it is")
    return {"train_until": str(end - (split.evaluate_until - split.train_until)), "evaluate_until": str(end)}


def _dvc(*words: str) -> None:
    """Bring a stage up to date; what it says is shown."""
    if subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet", *words]).returncode:
        raise config.Problem(f"retrain: {words[-1]} refuses, see above; the release in service and {PARAMS} stay")
