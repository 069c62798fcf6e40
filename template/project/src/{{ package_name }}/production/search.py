"""Look for better settings of the model: each try is a DVC experiment, and nothing changes until you apply one."""

import re
import subprocess
import sys
import time
from math import prod
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
    """Run an experiment for each combination, two at a time; return all so far."""
    import dvc.api  # takes a second

    asked = [f"--set-param=train.{each}={','.join(f'{value:g}' for value in grid[each])}" for each in grid]
    name, done, count = f"{name}-{len(tried)}", 0, prod(map(len, grid.values()))
    if _run("dvc", "exp", "run", "--queue", "--name", name, *asked, "train").wait():
        raise config.Problem("search: DVC cannot queue the experiments; try `dvc exp run --queue train`")
    for line in _run("dvc", "exp", "run", "--run-all", "--jobs", "2").stdout or []:
        if score := SCORED.search(line):
            done += 1
            print(f"search: {done} of {count}, {score[0]}", flush=True)
    mine = [row for row in dvc.api.exp_show() if str(row["Experiment"]).startswith(name)]
    found = [row for row in mine if row["State"] != "Failed" and row["validation_auc"]]
    if not tried and not found:
        raise config.Problem(f"search: no experiment came to an end with a score; see why: dvc queue logs {name}-1")
    return tried + [
        {"name": row["Experiment"], "auc": row["validation_auc"]} | {each: row[f"train.{each}"] for each in grid}
        for row in found
    ]


def _beyond(values: list[Any], best: Any) -> float:
    """Return the next value beyond the edge that the best lies at, 0 where it lies at none."""
    if len(values) < 2 or best not in (values[0], values[-1]) or 0 in (values[:2] + values[-2:]):
        return 0
    further = values[-1] ** 2 / values[-2] if best == values[-1] else values[0] ** 2 / values[1]
    return round(further) if all(float(value).is_integer() for value in values) else float(f"{further:.3g}")


def _run(*command: str) -> subprocess.Popen[str]:
    python = [sys.executable, "-m"] if command[0] == "dvc" else []
    return subprocess.Popen([*python, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
