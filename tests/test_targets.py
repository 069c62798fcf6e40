"""Where it runs: what is derived for a target is right by its own reader, made of one source."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from manifests import Planned, run

# --- compose ------------------------------------------------------------------------------------


def test_compose_is_valid_and_shows_the_proxy_only(planned: Planned) -> None:
    file = planned("compose") / "compose/compose.yaml"
    tool = Path(sys.executable).with_name("check-jsonschema")
    run(tool, "--builtin-schema", "vendor.compose-spec", file)
    services = yaml.safe_load(file.read_text())["services"]
    parts = {"blue", "green", "proxy", "prometheus", "alertmanager", "grafana", "monitor"}
    assert set(services) == parts
    for name, part in services.items():
        assert part["read_only"], name
        assert (part["cap_drop"], part["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert all(port.startswith("127.0.0.1:") for port in part["ports"]) == (name != "proxy")
        for volume in part["volumes"]:  # what is mounted from the repo is there, or is made
            source = volume.split(":")[0]
            inside = source.startswith("../../../") or (file.parent / source).exists()
            assert inside or source in ("prometheus", "alertmanager", "grafana"), volume


# --- the configuration of each part -------------------------------------------------------------

READERS = [
    "haproxy -c -f haproxy.cfg",
    "promtool check config prometheus.yml",
    "amtool check-config alertmanager.yml",
]


@pytest.mark.parametrize("reader", READERS)
def test_a_container_reads_the_configuration_of_the_rehearsal(
    reader: str, planned: Planned, tmp_path: Path
) -> None:
    derived = planned("compose")
    shutil.copytree(derived / "compose", tmp_path, dirs_exist_ok=True)
    shutil.copy(derived / "rules.yml", tmp_path)
    tool, *words, name = reader.split()
    run(tool, *words, tmp_path / name)
    # Only addresses differ, and how a name is looked up.
    lines = [(folder / name).read_text().splitlines() for folder in (derived, tmp_path)]
    own = [line for line in lines[0] if line not in lines[1]]
    assert own
    assert all("127.0.0.1" in line or "run/haproxy.sock" in line for line in own), own


def test_why_knows_what_a_manifest_follows_from(planned: Planned) -> None:
    root = planned("kubernetes").parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "late_flights.production", "why", "slo.yaml:peak_rps"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ops/derived/kubernetes/base/scaling.yaml:" in done.stdout


def test_a_file_of_another_target_is_stale(planned: Planned, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(planned("kubernetes").parents[1], root)
    shutil.rmtree(root / "src/late_flights/production/templates/kubernetes")
    command = [sys.executable, "-m", "late_flights.production", "plan"]
    shell = os.environ | {"PYTHONPATH": "src"}
    done = subprocess.run(
        [*command, "--check"], cwd=root, env=shell, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "ops/derived/kubernetes/base/service.yaml" in done.stderr
    subprocess.run(command, cwd=root, env=shell, check=True, capture_output=True)
    assert not [path for path in (root / "ops/derived/kubernetes").rglob("*") if path.is_file()]


@pytest.mark.parametrize("target", ["compose", "kubernetes"])
def test_each_promise_changes_the_lines_that_declare_it(target: str, planned: Planned) -> None:
    """The emitted test of the planner, without the chain that its fixtures train."""
    tests = ["-k", "stale or why", "--noconftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/test_plan.py", *tests],
        cwd=planned(target).parents[1],
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.parametrize("target", ["compose", "kubernetes"])
def test_the_code_of_a_target_passes_the_emitted_linter(target: str, planned: Planned) -> None:
    root = planned(target).parents[1]
    for words in (["check"], ["format", "--check"]):
        run(sys.executable, "-m", "ruff", *words, "--quiet", "--no-cache", root)


# --- the images ---------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["Containerfile", "jobs.Containerfile"])
def test_the_images_pass_their_linter(file: str, render: Callable[..., Path]) -> None:
    for target in ("compose", "kubernetes"):
        folder = render(target=target) / "deploy/container"
        run(Path(sys.executable).with_name("hadolint"), folder / file)
        run("bash", "-n", folder / "image.sh")
