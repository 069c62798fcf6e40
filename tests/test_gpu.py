"""Cards: facts that can be, and what follows from one: a plan, manifests, alerts."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from conftest import ROOT
from manifests import Planned, broken_policies, kustomize, objections, pods, run
from test_places import changed, interview

Render = Callable[..., Path]
Answers = dict[str, Any]
CARDS: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "template/catalog/gpus.yaml").read_text()
)["cards"]
TEXT: Answers = {"model": "text", "project_name": "late-flights", "cost_per_1000": 10}
TEXT |= {"latency_p99_ms": 150, "peak_rps": 50}
A100: Answers = TEXT | {"gpu": "a100-40", "gpu_usd_per_hour": 3}
OWN: Answers = {"encoder": "encoder/own", "source": "files"}
PACKAGE = "src/late_flights/production"
PLACES = {"Makefile", "ops/gpu.yaml", "ops/prices.yaml", "ops/runbook.md"}
PLACES |= {f"{PACKAGE}/templates/gpu.json"}
IMAGES = {"deploy/container/Containerfile", "deploy/container/jobs.Containerfile"}
# Each card, and slices of one, the smallest and the largest.
CHOICES = [(card, "whole") for card in CARDS]
CHOICES += [("t4", "time-4"), ("b200", "time-2")]
CHOICES += [("a100-40", "1g.5gb"), ("h100", "1g.10gb"), ("h200", "7g.141gb"), ("b200", "3g.90gb")]
# One for each exporter and unit, but for what the planner's own test has: the whole of a T4.
MEASURED = [("h100", "1g.10gb"), ("mi300x", "whole")]


# --- the catalogue ------------------------------------------------------------------------------


@pytest.mark.parametrize("card", CARDS)
def test_the_facts_of_a_card_can_be(card: str) -> None:
    facts = CARDS[card]
    assert facts["source"]
    assert facts["date"]
    assert 0.93 <= facts["memory_mib"] / (facts["memory_gb"] * 1024) <= 1
    if facts["vendor"] == "nvidia":
        capability = float(facts["compute_capability"])
        assert facts["bf16"] == (capability >= 8)
        assert facts["fp8"] == (capability >= 8.9)
        # Code for capability 10 is in wheels for CUDA 13 alone, and these ask for a newer driver.
        assert (facts["backend"] == "cu130") == (capability >= 10)
        assert (int(facts["driver"].split(".")[0]) >= 580) == (facts["backend"] == "cu130")
    # Dense, not sparse: no maker's best of its time is above these, and each sparse figure is.
    most = {"7.5": 66, "8.0": 313, "8.6": 126, "8.9": 363, "9.0": 990, "10.0": 2300}
    assert 60 <= facts["tflops"] <= most.get(facts["compute_capability"], 1310)
    assert 300 <= facts["bandwidth_gb_s"] <= 8000
    assert "operator" in facts["nodes"]


@pytest.mark.parametrize("card", [card for card in CARDS if CARDS[card]["slices"]])
def test_the_slices_of_a_card_fit_on_it(card: str) -> None:
    for name, part in CARDS[card]["slices"].items():
        compute, memory = name.removesuffix("gb").split("g.")
        assert int(compute) == part["compute"], name
        assert part["count"] * part["compute"] <= 7, name
        assert part["count"] * part["memory"] <= 8, name
        assert abs(int(memory) - CARDS[card]["memory_gb"] * part["memory"] / 8) <= 1, name


def test_the_interview_offers_what_the_catalogue_has() -> None:
    choices, when = interview()["gpu"]["choices"], interview()["gpu_slice"]["when"]  # type: ignore[index]
    assert list(choices.values()) == ["none", *CARDS]
    condition = jinja2.Environment().from_string(when)
    for card, facts in CARDS.items():
        assert condition.render(model="text", gpu=card) == str(len(facts["turns"]) > 1)


# --- one answer, one place ----------------------------------------------------------------------


def test_a_card_owns_its_files(render: Render) -> None:
    card = {"gpu": "t4", "gpu_usd_per_hour": 1}
    assert changed(render(**TEXT), render(**TEXT, **card)) == PLACES
    for target in ("compose", "kubernetes"):
        text = TEXT | {"target": target}
        assert changed(render(**text), render(**text, **card)) == PLACES | IMAGES
    assert not [
        name for name in PLACES - {"Makefile"} if "gpu" in name and (render() / name).exists()
    ]


@pytest.mark.parametrize(
    ("flip", "place"),
    [
        ({"gpu_slice": "1g.5gb"}, "ops/gpu.yaml"),
        ({"gpu_slice": "time-2"}, "ops/gpu.yaml"),
        ({"gpu_usd_per_hour": 79.19}, "ops/prices.yaml"),
        ({"gpu_nodes": "gke"}, "ops/gpu.yaml"),
        ({"gpu_nodes": "karpenter"}, "ops/gpu.yaml"),
    ],
    ids=str,
)
def test_an_answer_about_a_card_has_one_place(flip: Answers, place: str, render: Render) -> None:
    cluster = A100 | {"target": "kubernetes"}
    assert changed(render(**cluster), emitted := render(**cluster | flip)) == {place}
    (value,) = flip.values()
    label = {"gke": "cloud.google.com", "karpenter": "karpenter.k8s.aws"}
    assert str(label.get(value, value)) in (emitted / place).read_text()


@pytest.mark.parametrize(
    ("answers", "way_out"),
    [
        ({"model": "tabular", "gpu": "t4"}, "trees need no card"),
        (TEXT | {"gpu": "t4"}, "gpu_usd_per_hour"),
        (A100 | {"gpu_usd_per_hour": 0}, "more than 0"),
        (A100 | {"gpu_slice": "1g.10gb"}, "answer whole, time-2, time-4, 1g.5gb, 2g.10gb, "),
        (A100 | {"gpu": "l4", "gpu_slice": "1g.5gb"}, "l4 has no 1g.5gb; answer whole, time-2"),
        (A100 | {"gpu": "mi300x", "gpu_slice": "time-2"}, "mi300x has no time-2; answer whole"),
        (A100 | {"gpu": "a10g", "target": "kubernetes", "gpu_nodes": "gke"}, "operator or karp"),
        (A100 | {"gpu": "t5"}, "gpu"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(
    answers: Answers, way_out: str, render: Render
) -> None:
    with pytest.raises(ValueError, match=way_out):
        render(**answers)


# --- what follows -------------------------------------------------------------------------------


@pytest.mark.parametrize(("card", "part"), CHOICES)
def test_a_card_is_planned_for_and_asked_of_the_cluster(
    card: str, part: str, planned: Planned
) -> None:
    derived = planned("kubernetes", **A100 | {"gpu": card, "gpu_slice": part})
    facts, plan = CARDS[card], json.loads((derived / "gpu.json").read_text())
    eighths = (facts["slices"] | facts["turns"])[part]["memory"]
    assert 600 < plan["memory_mib"] <= 0.9 * facts["memory_mib"] * eighths / 8
    assert plan["precision"] == ("bf16" if facts["bf16"] else "fp16")
    assert plan["driver"] == facts["driver"]
    assert 16 <= plan["batch_size"] <= 256
    documents = kustomize(derived / "kubernetes/overlays/production")
    assert [said for each in documents for said in objections(each)] == []
    pod = dict(pods(documents))["Deployment/service"]
    assert broken_policies("Deployment/service", pod) == []
    resource = f"nvidia.com/mig-{part}" if part in facts["slices"] else facts["resource"]
    resource += ".shared" if part.startswith("time-") else ""
    assert pod["containers"][0]["resources"]["limits"][resource] == 1
    assert pod["nodeSelector"] == facts["nodes"]["operator"]
    assert pod["tolerations"][0]["key"] == facts["resource"]
    others = [each for name, each in pods(documents) if name != "Deployment/service"]
    assert not [each for each in others if "nodeSelector" in each]
    run("promtool", "check", "rules", derived / "rules.yml")
    assert "GpuIdle" in (derived / "rules.yml").read_text()
    assert "GPU memory" in (derived / "dashboard.json").read_text()
    json.loads((derived / "dashboard.json").read_text())


@pytest.mark.parametrize(("card", "part"), MEASURED)
def test_a_card_that_idles_for_a_day_makes_a_ticket(
    card: str, part: str, planned: Planned, tmp_path: Path
) -> None:
    derived = planned("kubernetes", **A100 | {"gpu": card, "gpu_slice": part})
    shutil.copy(derived / "rules.yml", tmp_path)
    simulated = yaml.safe_load((derived / "rules_test.yml").read_text())
    (idle,) = [each for each in simulated["tests"] if each["name"].startswith("GpuIdle fires")]
    (tmp_path / "one.yml").write_text(yaml.safe_dump(simulated | {"tests": [idle]}))
    run("promtool", "test", "rules", tmp_path / "one.yml")


@pytest.mark.parametrize(
    ("part", "labels"),
    [
        ("1g.10gb", {"gpu-partition-size": "1g.10gb"}),
        ("time-4", {"gpu-sharing-strategy": "time-sharing", "max-shared-clients-per-gpu": "4"}),
    ],
)
def test_a_part_of_a_card_at_google_is_asked_of_its_nodes(
    part: str, labels: dict[str, str], planned: Planned
) -> None:
    answers = A100 | {"gpu": "h100", "gpu_slice": part, "gpu_nodes": "gke"}
    documents = kustomize(planned("kubernetes", **answers) / "kubernetes/base")
    pod = dict(pods(documents))["Deployment/service"]
    asked = {f"cloud.google.com/gke-{name}": value for name, value in labels.items()}
    assert pod["nodeSelector"] == CARDS["h100"]["nodes"]["gke"] | asked
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1


@pytest.mark.parametrize(
    "choice", [("t4", "whole"), ("l4", "time-2"), ("h100", "1g.10gb"), ("mi300x", "whole")]
)
def test_compose_hands_the_card_to_the_slots_and_measures_it(
    choice: tuple[str, str], planned: Planned
) -> None:
    card, part = choice
    derived = planned("compose", **A100 | {"gpu": card, "gpu_slice": part})
    file = derived / "compose/compose.yaml"
    tool = Path(sys.executable).with_name("check-jsonschema")
    run(tool, "--builtin-schema", "vendor.compose-spec", file)
    services = yaml.safe_load(file.read_text())["services"]
    assert services["gpu"]["image"] == CARDS[card]["exporter"]["image"]
    for name in ("blue", "green", "gpu"):
        if card == "mi300x":
            assert services[name]["devices"] == ["/dev/kfd", "/dev/dri"]
        else:
            (device,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
            assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
            assert ("device_ids" in device) == (part in CARDS[card]["slices"] and name != "gpu")
    for place in (derived, derived / "compose"):
        jobs = yaml.safe_load((place / "prometheus.yml").read_text())["scrape_configs"]
        (target,) = [each["static_configs"] for each in jobs if each["job_name"] == "gpu"]
        assert target[0]["targets"][0].endswith(f":{CARDS[card]['exporter']['port']}")


def test_wheels_are_those_of_the_card(render: Render) -> None:
    wheels = {"t4": "cu126", "b200": "cu130", "mi300x": "rocm7.2", "none": "cpu"}
    for card, backend in wheels.items():
        root = render(**TEXT | {"gpu": card, "gpu_usd_per_hour": 1, "target": "compose"})
        assert f"export UV_TORCH_BACKEND ?= {backend}\n" in (root / "Makefile").read_text()
        for name in IMAGES:
            text = (root / name).read_text()
            assert f"ARG TORCH_INDEX=https://download.pytorch.org/whl/{backend}\n" in text
            assert '--extra-index-url "${TORCH_INDEX}" --requirement' in text
            run(Path(sys.executable).with_name("hadolint"), root / name)
    trees = render(target="compose")
    assert not [name for name in (*IMAGES, "Makefile") if "TORCH" in (trees / name).read_text()]


def test_its_readers_accept_what_a_card_adds(planned: Planned) -> None:
    """The emitted test of the planner, where the card is what limits a replica."""
    large = {"gpu": "t4", "encoder_millions": 335, "peak_rps": 1000}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/test_plan.py", "--noconftest"],
        cwd=planned("kubernetes", **A100 | OWN | large).parents[1],
        env=os.environ | {"PYTHONPATH": "src", "PATH": f"{os.environ['PATH']}:/usr/sbin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
