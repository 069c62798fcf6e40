"""Look for better settings of the model: each try is a DVC experiment, and nothing changes until you apply one."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import config, metrics, remote
from .stages import labelled, learn, load_features, predict, write_json

REPORT, FURTHER = Path("reports/search.json"), 6  # so often a search goes on beyond an edge
Tried = list[dict[str, Any]]  # of each experiment its name, settings and AUC


def search(one: bool = False) -> None:
    """Try the values of params.yaml: search in all combinations, and go on where the best lies at an edge.

    `one` is what each experiment runs: it scores the settings that stand in its own params.yaml.
    """
    params = config.params()
    if one:
        return _score(params)
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
    now = next(each for each in tried if all(each[setting] == params.train[setting] for setting in grid))
    print(f"search: best {_shown(best, grid)}; as it is {now['auc']:.4f}; to take it: dvc exp apply {best['name']}")


def _try(name: str, grid: dict[str, list[Any]], tried: Tried) -> Tried:
    """Run an experiment for each combination, two at a time; return all so far."""
    import dvc.api  # takes a second

    asked = [
        f"--set-param=train.{setting}={','.join(f'{value:g}' for value in values)}" for setting, values in grid.items()
    ]
    done, number = f"{name}-{len(tried)}", 0
    if _run("dvc", "exp", "run", "--queue", "--name", done, *asked, "search").wait():
        raise config.Problem("search: DVC cannot queue the experiments; try `dvc exp run --queue search`")
    runs = _run("dvc", "exp", "run", "--run-all", "--jobs", "2")
    for line in runs.stdout or []:
        if line.startswith("search: "):
            number += 1
            print(
                f"search: {number} of {np.prod([len(values) for values in grid.values()])}, {line[8:].strip()}",
                flush=True,
            )
    mine = [row for row in dvc.api.exp_show() if str(row["Experiment"]).startswith(done)]
    found = [row for row in mine if row["State"] != "Failed"]
    if not tried and not found:
        raise config.Problem(f"search: no experiment came to an end; see why: dvc queue logs {done}-1")
    return tried + [
        {"name": row["Experiment"], "auc": row["auc"]} | {setting: row[f"train.{setting}"] for setting in grid}
        for row in found
    ]


def _beyond(values: list[Any], best: Any) -> float:
    """Return the next value beyond the edge that the best lies at, 0 where it lies at none."""
    if len(values) < 2 or best not in (values[0], values[-1]) or 0 in (values[:2] + values[-2:]):
        return 0
    further = values[-1] ** 2 / values[-2] if best == values[-1] else values[0] ** 2 / values[1]
    return round(further) if all(float(value).is_integer() for value in values) else float(f"{further:.3g}")


def _score(params: config.Params) -> None:
    """Say how a model of the older four fifths of the training rows does on the rest: no gate's row is looked at."""
    found, y, when = load_features()
    rows = np.flatnonzero(labelled(when < np.datetime64(params.split.train_until), y))
    older, newer = np.split(rows[np.argsort(when[rows], kind="stable")], [len(rows) * 4 // 5])
    said = predict(*learn(found, y, older), {name: array[newer] for name, array in found.items()})
    facts = {setting: params.train[setting] for setting in params.search}
    facts["auc"] = metrics.auc(metrics.questions(y[newer], said))
    write_json(REPORT, facts)
    print(f"search: {_shown(facts, params.search)}")


def _shown(tried: dict[str, Any], grid: dict[str, Any]) -> str:
    return ", ".join(f"{setting} {tried[setting]:g}" for setting in grid) + f": AUC {tried['auc']:.4f}"


def _run(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command] if command[0] == "dvc" else command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
