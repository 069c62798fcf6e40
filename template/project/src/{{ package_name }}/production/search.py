"""Look for better settings of the model: each try is a DVC experiment, and nothing changes until you apply one."""

import re
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

from . import config, remote
from .stages import write_json

REPORT = Path("reports/search.json")
FURTHER = 6  # so often a search goes on beyond an edge
SCORED = re.compile(r"validation AUC [\d.]+")
Tried = list[dict[str, Any]]  # of each experiment its name, settings and AUC


def search() -> None:
    """Try the values of params.yaml: search in all combinations, and go on where the best lies at an edge."""
    params = config.params()
    if _run("git", "ls-files", "--error-unmatch", str(remote.LOCK)).wait():
        raise config.Problem(f"search: {remote.LOCK} is not in git, where experiments start from; commit it")
    if unknown := set(params.search) - set(params.train):
        raise config.Problem(f"params.yaml: search.{unknown.pop()} is no setting of train; name one of those")
    grid = {name: sorted({*values, params.train[name]}) for name, values in params.search.items()}
    name, tried, wanted = time.strftime("search-%Y%m%d-%H%M%S"), Tried(), grid
    for _ in range(FURTHER):
        before, tried = len(tried), _try(name, wanted, tried)
        best = max(tried, key=lambda each: each["auc"])
        edges = {setting: _beyond(sorted({each[setting] for each in tried}), best[setting]) for setting in grid}
        setting, further = next(((each, value) for each, value in edges.items() if value), ("", 0))
        if not setting or len(tried) == before:
            break
        print(f"search: the best lies at an edge: {setting} {further:g} is tried as well", flush=True)
        wanted = grid | {setting: [further]}
    tried.sort(key=lambda each: each["auc"])
    write_json(REPORT, {"tried": tried, "best": best})
    for each in tried:
        now = " (as it is)" if all(each[setting] == params.train[setting] for setting in grid) else ""
        settings = ", ".join(f"{setting} {each[setting]:g}" for setting in grid)
        print(f"search: {each['name']}: validation AUC {each['auc']:.4f} with {settings}{now}")
    print(f"search: to take the best, with its model: dvc exp apply {best['name']}")


def _try(name: str, grid: dict[str, list[Any]], tried: Tried) -> Tried:
    """Run an experiment for each combination, beside the work tree; return all so far."""
    import dvc.api  # takes a second

    said, combinations = "", list(product(*grid.values()))
    for number, values in enumerate(combinations, 1):
        # One after the other: with DVC's queue, a worker now and then never ends.
        asked = [f"--set-param=train.{each}={value:g}" for each, value in zip(grid, values, strict=True)]
        run = _run("dvc", "exp", "run", "--temp", "--name", f"{name}-{len(tried) + number}", *asked, "train")
        said = run.communicate()[0]
        score = SCORED.search(said)
        print(f"search: {number} of {len(combinations)}, {score[0] if score else 'known from before'}", flush=True)
    mine = [row for row in dvc.api.exp_show() if str(row["Experiment"]).startswith(name)]
    found = [row for row in mine if row.get("validation_auc")]
    if not found:
        why = (said.strip() or "DVC said nothing").splitlines()[-1]
        raise config.Problem(f"search: no experiment ended with a score: {why}; try `dvc exp run --temp train`")
    told = {"name": "Experiment", "auc": "validation_auc"} | {each: f"train.{each}" for each in grid}
    return [{name: row[column] for name, column in told.items()} for row in found]


def _beyond(values: list[Any], best: Any) -> float:
    """Return the next value beyond the edge that the best lies at, 0 where it lies at none."""
    if len(values) < 2 or best not in (values[0], values[-1]) or 0 in (values[:2] + values[-2:]):
        return 0
    further = values[-1] ** 2 / values[-2] if best == values[-1] else values[0] ** 2 / values[1]
    return round(further) if all(float(value).is_integer() for value in values) else float(f"{further:.3g}")


def _run(*command: str) -> subprocess.Popen[str]:
    python = [sys.executable, "-m"] if command[0] == "dvc" else []
    return subprocess.Popen([*python, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
