"""One answer, one place: what each question changes, and that it changes nothing else."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import FILES_ANSWERS, ROOT, contents

ANSWERS = ".copier-answers.yml"
PACKAGE = "src/late_flights"
Render = Callable[..., Path]

# One answer, one place: a value of each that no other answer has, and the file that it is in.
PLACES = {
    "remote_url": ("../store-7919", ".dvc/config"),
    "purpose": ("Tell apart 7919 things", "README.md"),
    "business_metric": ("hours of 7919", "slo.yaml"),
    "value_right": (7919.5, "slo.yaml"),
    "value_wrong": (7919.5, "slo.yaml"),
    "owner_data": ("@team-7919", "slo.yaml"),
    "owner_model": ("@team-7919", "slo.yaml"),
    "owner_platform": ("@org/team-7919", "slo.yaml"),
    "availability_percent": (97.919, "slo.yaml"),
    "latency_p99_ms": (7919, "slo.yaml"),
    "peak_rps": (7919, "slo.yaml"),
    "freshness_hours": (1319, "slo.yaml"),
    "max_model_age_days": (3191, "slo.yaml"),
    "quality_floor_auc": (0.57919, "slo.yaml"),
    "rollback_seconds": (571, "slo.yaml"),
    "cost_per_1000": (0.7919, "slo.yaml"),
    "window_days": (79, "slo.yaml"),
    "fallback": ("refuse", "slo.yaml"),
    "drift_false_alarms": (1.7919, "slo.yaml"),
    "drift_shift_percent": (79, "slo.yaml"),
    "drift_within_days": (179, "slo.yaml"),
}
FILES_PLACES = {
    "files_path": ("data/from 7919", "params.yaml"),
    "target_column": ('it\'s "7919" ü', "contract.yaml"),
    "time_column": ("when: #7919 \\", "contract.yaml"),
    "id_column": ("{{ 7919 }}", "contract.yaml"),
}
# Another model, and all other answers as they are: some of their defaults depend on it.
TEXT: dict[str, Any] = {
    "model": "text",
    "project_name": "late-flights",
    "purpose": "Warn before departure that a flight will arrive more than 15 minutes late",
    "latency_p99_ms": 150,
    "peak_rps": 50,
    "freshness_hours": 48,
    "max_model_age_days": 60,
    "drift_shift_percent": 20,
    "drift_within_days": 28,
}
TEXT_ANSWERS = {"model": "text", "encoder": "encoder/minilm", "encoder_millions": 33.4}
TEXT_PLACES = {
    "encoder": ("encoder/of-7919", "contract.yaml"),
    "encoder_millions": (37.919, "contract.yaml"),
}
# What is asked about servers; two answers make one address.
SERVERS = {
    "object_store": ("s3://bucket-7919/a/b", None, "s3://bucket-7919/a/b"),
    "postgres": ("postgresql://ada@db:7919/x", "s.t 1", "postgresql://ada@db:7919/x#s.t 1"),
    "stream": ("rediss://r:7919/0", "ride:events", "rediss://r:7919/0#ride:events"),
}
# An axis owns its files: this is all that another answer may change, add or remove. What ends in a
# slash is a folder.
AXES = {
    "model": {
        f"{PACKAGE}/ingest.py",
        f"{PACKAGE}/features.py",
        f"{PACKAGE}/train.py",
        f"{PACKAGE}/production/batches.py",
        f"{PACKAGE}/production/encoder.py",
        "Makefile",
        "README.md",
        "pyproject.toml",
        "tests/test_encoder.py",
        "contract.yaml",
        "params.yaml",
        "requirements-dev.txt",
        "requirements-serve.txt",
    },
    "source": {
        f"{PACKAGE}/ingest.py",
        f"{PACKAGE}/features.py",
        "contract.yaml",
        "params.yaml",
    },
    "target": {
        "Makefile",
        "deploy/container/",
        "deploy/kubernetes/",
        f"{PACKAGE}/production/containers.py",
        f"{PACKAGE}/production/cluster.py",
        f"{PACKAGE}/production/templates/compose/",
        f"{PACKAGE}/production/templates/kubernetes/",
    },
    "batch_scoring": {
        "Makefile",
        "README.md",
        "requirements-dev.txt",
        f"{PACKAGE}/production/batch_scoring.py",
        f"{PACKAGE}/production/on_ray.py",
        "tests/test_batch_scoring.py",
        "tests/test_on_ray.py",
    },
}
FLIPS: dict[str, list[dict[str, Any]]] = {
    "model": [TEXT],
    "source": [FILES_ANSWERS],
    "target": [{"target": "compose"}, {"target": "kubernetes"}],
    "batch_scoring": [{"batch_scoring": "machine"}, {"batch_scoring": "ray"}],
}


def interview() -> dict[str, dict[str, object]]:
    data = yaml.safe_load((ROOT / "copier.yml").read_text())
    return {key: value for key, value in data.items() if not key.startswith("_")}


def changed(one: Path, other: Path) -> set[str]:
    """The files that differ between two emitted projects, the recorded answers aside."""
    left, right = contents(one), contents(other)
    names = left.keys() | right.keys()
    return {name for name in names if left.get(name) != right.get(name)} - {ANSWERS}


def needs(emitted: Path) -> set[str]:
    return set((emitted / "requirements-dev.txt").read_text().split())


def leaves(data: object) -> list[object]:
    """Every value of a parsed YAML file."""
    if isinstance(data, dict | list):
        parts = data.values() if isinstance(data, dict) else data
        return [leaf for part in parts for leaf in leaves(part)]
    return [data]


def test_every_answer_is_in_the_tables() -> None:
    """A new question must say here what it changes."""
    names = {"project_name", "package_name", "start", "source_url", "source_table"}
    names |= {"gpu", "gpu_slice", "gpu_usd_per_hour", "gpu_nodes"}  # test_gpu.py
    known = {*PLACES, *FILES_PLACES, *TEXT_PLACES, *AXES, *names}
    assert set(interview()) == known


@pytest.mark.parametrize("key", PLACES)
def test_an_answer_has_one_place(key: str, render: Render) -> None:
    value, place = PLACES[key]
    emitted = render(**{key: value})
    assert changed(render(), emitted) == {place}
    assert str(value) in (emitted / place).read_text()


@pytest.mark.parametrize("key", FILES_PLACES)
def test_an_answer_about_your_files_has_one_place(key: str, render: Render) -> None:
    value, place = FILES_PLACES[key]
    emitted = render(**{**FILES_ANSWERS, key: value})
    assert changed(render(**FILES_ANSWERS), emitted) == {place}
    assert value in leaves(yaml.safe_load((emitted / place).read_text()))


@pytest.mark.parametrize("key", TEXT_PLACES)
def test_an_answer_about_the_encoder_has_one_place(key: str, render: Render) -> None:
    value, place = TEXT_PLACES[key]
    emitted = render(**{**TEXT_ANSWERS, key: value})
    assert changed(render(**TEXT_ANSWERS), emitted) == {place}
    assert value in leaves(yaml.safe_load((emitted / place).read_text()))


def about_a_server(kind: str) -> dict[str, str]:
    url, table, _ = SERVERS[kind]
    answers = {**FILES_ANSWERS, "source": kind, "source_url": url}
    del answers["files_path"]
    return {**answers, "source_table": table} if table else answers


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_changes_where_rows_come_from_and_nothing_else(kind: str, render: Render) -> None:
    emitted = render(**about_a_server(kind))
    expected = {f"{PACKAGE}/ingest.py", "params.yaml", "requirements-dev.txt"}
    assert changed(render(**FILES_ANSWERS), emitted) == expected
    assert yaml.safe_load((emitted / "params.yaml").read_text())["source"] == SERVERS[kind][2]
    pinned = (emitted / "constraints.txt").read_text()
    needs = set((emitted / "requirements-dev.txt").read_text().split())
    needs -= set((render() / "requirements-dev.txt").read_text().split())
    assert len(needs) == 1
    assert f"\n{needs.pop().split('[')[0]}==" in pinned


def test_the_name_changes_names_only(render: Render) -> None:
    """Read back under the old name, the renamed project is the default one."""
    renamed = contents(render(project_name="sure-things"))
    back = {
        name.replace("sure_things", "late_flights"): body.replace(
            b"sure-things", b"late-flights"
        ).replace(b"sure_things", b"late_flights")
        for name, body in renamed.items()
    }
    original = contents(render())
    assert back.keys() == original.keys()
    assert {name for name in back if back[name] != original[name]} == set()


@pytest.mark.parametrize("axis", AXES)
def test_an_axis_owns_its_files(axis: str, render: Render) -> None:
    found = set().union(*(changed(render(), render(**answers)) for answers in FLIPS[axis]))
    folders = {name for name in AXES[axis] if name.endswith("/")}
    for folder in folders:
        assert [name for name in found if name.startswith(folder)]
        found = {name for name in found if not name.startswith(folder)}
    assert found == AXES[axis] - folders


def test_a_target_brings_its_own_files_and_no_other_target_s(render: Render) -> None:
    for target, other in (("compose", "kubernetes"), ("kubernetes", "compose")):
        names = " ".join(contents(render(target=target)))
        assert f"/templates/{target}/" in names
        assert other not in names
    assert not re.search("compose|kubernetes|container", " ".join(contents(render())))


def test_ray_is_installed_where_it_is_asked_for(render: Render) -> None:
    emitted = render(batch_scoring="ray")
    assert needs(emitted) - needs(render()) == {"ray[default]"}
    assert needs(render(batch_scoring="machine")) == needs(render())
    assert "\nray==" in (emitted / "constraints.txt").read_text()


def test_every_question_says_what_it_changes_and_guards_its_answer() -> None:
    for key, question in interview().items():
        if question.get("when") is False:
            continue
        assert str(question["help"]).endswith("."), key
        assert "choices" in question or question["validator"], key
        assert "default" in question, key


def test_no_python_name_can_be_the_package() -> None:
    reserved = (ROOT / "template/catalog/reserved_names.txt").read_text().split()
    shape = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
    modules = {name for name in sys.stdlib_module_names if shape.fullmatch(name)}
    assert modules <= set(reserved)
    installed = {"polars", "numpy", "bentoml", "lightgbm", "yaml", "pydantic", "dvc", "evidently"}
    assert installed | {"class", "test", "tests", "production"} <= set(reserved)
