"""Promises that clash: interview, `scaffold new` and emitted planner say the same of them."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from conftest import CLI, ROOT, Scaffold, asked_of

Render = Callable[..., Path]

ASK = """
import json, sys, yaml
from collections.abc import Callable
from pathlib import Path
from late_flights.production import feasible, promises
for line in sys.stdin:
    targets, slo = json.loads(line), yaml.safe_load(Path("slo.yaml").read_text())
    for name in ("peak_rps", "window_days"):
        slo[name] = targets.pop(name)
    for name in ("shift_percent", "within_days"):
        slo["drift"][name] = targets.pop(f"drift_{name}")
    for name, value in targets.items():
        slo["objectives"][name]["target"] = value
    Path("slo.yaml").write_text(yaml.safe_dump(slo))
    print(json.dumps(list(feasible.broken(promises.inputs()))))
"""
NAMES = {"max_model_age_days": "model_age_days", "cost_per_1000": "cost_usd_per_1000"}
CLASHES: list[dict[str, Any]] = [
    {"cost_per_1000": 0.00001},
    {"rollback_seconds": 1},
    {"freshness_hours": 2000},
    {"availability_percent": 99.9999},
    {"availability_percent": 99.9, "rollback_seconds": 600, "window_days": 7},
    {"availability_percent": 99.999, "peak_rps": 1, "window_days": 14},
    {"drift_shift_percent": 1, "drift_within_days": 2},
]

# Each has files of its own to plan; traffic and encoder are such that each promise matters.
PLANNED: list[dict[str, Any]] = [
    {"target": "kubernetes"},  # all that is planned for one machine, and more
    {"model": "text", "peak_rps": 50},
    {
        **{"model": "text", "encoder": "encoder/own", "encoder_millions": 335, "peak_rps": 1000},
        **{"gpu": "t4", "gpu_usd_per_hour": 0.5, "target": "compose", "freshness_hours": 48},
    },
]


def drawn(count: int) -> list[dict[str, Any]]:
    """Answers at random, many of them near a limit."""
    of = random.Random(1)
    return [
        {
            "availability_percent": of.choice([90, 95, 99, 99.5, 99.9, 99.99, 99.999, 99.9999]),
            "latency_p99_ms": of.choice([5, 20, 150, 2000]),
            "peak_rps": of.choice([1, 2, 10, 50, 100, 101, 999, 7919]),
            "freshness_hours": of.choice([1, 24, 25, 48, 1440, 1441]),
            "max_model_age_days": of.choice([1, 2, 60, 365]),
            "rollback_seconds": of.choice([1, 2, 10, 100, 600]),
            "cost_per_1000": of.choice([0.0003, 0.0005, 0.001, 0.005, 0.05]),
            "window_days": of.choice([7, 14, 28, 90]),
            "drift_shift_percent": of.choice([1, 2, 3, 10, 20, 20, 20, 90]),
            "drift_within_days": of.choice([1, 5, 27, 28, 28, 90]),
        }
        for _ in range(count)
    ]


def planned(project: Path, answers: list[dict[str, Any]], tmp_path: Path) -> list[list[str]]:
    """What the emitted planner says of each set of answers."""
    (tmp_path / "ops").mkdir()
    for name in ("contract.yaml", "slo.yaml", "params.yaml", "ops/prices.yaml"):
        (tmp_path / name).write_bytes((project / name).read_bytes())
    lines = [json.dumps({NAMES.get(k, k): v for k, v in each.items()}) for each in answers]
    return asked_of(project, ASK, lines, tmp_path)


def test_interview_and_planner_agree(render: Render, tmp_path: Path) -> None:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT))
    environment.filters["from_yaml"] = yaml.safe_load
    environment.globals |= {"gpu": "none", "model": "tabular"}
    validator = yaml.safe_load((ROOT / "copier.yml").read_text())["window_days"]["validator"]
    answers = drawn(150)
    said = [environment.from_string(validator).render(each).strip() for each in answers]
    found = planned(render(), answers, tmp_path)
    for each, clash, problems in zip(answers, said, found, strict=True):
        assert bool(clash) == bool(problems), f"{each}\n{clash}\n{problems}"
    assert 20 < sum(map(bool, said)) < 140


@pytest.mark.parametrize("answers", PLANNED, ids=["kubernetes", "text", "card"])
def test_what_clashes_has_a_way_out_and_a_promise_changes_what_declares_it(
    answers: dict[str, Any], render: Render
) -> None:
    root = render(project_name="late-flights", **answers)
    options = ["--noconftest", "--rootdir", str(root), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, str(ROOT / "tests/machinery.py")],
        cwd=root,
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("answers", CLASHES, ids=str)
def test_scaffold_refuses_what_the_planner_refuses(
    answers: dict[str, Any], scaffold: Scaffold, template: Path, tmp_path: Path
) -> None:
    options = [f"--data={key}={value}" for key, value in answers.items()]
    done = scaffold("new", "demo", "--defaults", "--template", str(template), *options)
    assert done.returncode == 1, done.stderr
    assert "is more than" in done.stderr  # the arithmetic
    assert next(iter(answers)).removeprefix("max_").partition("_per")[0] in done.stderr
    assert not (tmp_path / "demo").exists()


def test_explain_names_the_promise(
    scaffold: Scaffold, render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(render())
    for what, said in (
        ("slo.yaml:peak_rps", "ops/derived/haproxy.cfg:"),
        ("ops/derived/load.js:10", "slo.yaml: peak_rps"),
    ):
        done = subprocess.run([*CLI, "explain", what], capture_output=True, text=True, check=True)
        assert said in json.dumps(json.loads(done.stdout))
    done = subprocess.run([*CLI, "explain", "ops/derived/load.js:9999"], capture_output=True)
    assert (done.returncode, b"name a line" in done.stderr) == (2, True)
    done = scaffold("explain", "slo.yaml:peak_rps")
    assert "is not the root of an emitted project" in done.stderr
