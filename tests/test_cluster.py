"""The verbs on Kubernetes: what is applied, and what the ledger says; a stand-in is the cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from manifests import KUBECTL, Planned

# It renders what would be applied with the real kubectl, and judges rollouts as `verdicts` says.
STAND_IN = """#!/bin/sh
case "$1 $2" in
"apply -k") {kubectl} kustomize "$3" >cluster.yaml ;;
"argo rollouts") verdict=$(head -n 1 verdicts) && sed -i 1d verdicts && exit "${{verdict:-0}}" ;;
*) echo "kubectl: $*" >&2 && exit 2 ;;
esac
"""
RELEASE = """
import json, sys
from pathlib import Path
from late_flights.production import releases
for name in sys.argv[1:]:
    versions = {"data": name}
    made = releases.identify(versions)
    root = releases.source(made)
    root.mkdir(parents=True)
    about = {"id": made, "files": {}, "versions": versions}
    (root / "release.json").write_text(json.dumps(about))
    print(made)
Path("reports").mkdir()
Path("reports/package.json").write_text(json.dumps({"release": made}))
"""
Kubernetes = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(planned: Planned, tmp_path: Path) -> Path:
    root = tmp_path / "project"
    subprocess.run(["cp", "-r", planned("kubernetes").parents[1], root], check=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/kubectl").write_text(STAND_IN.format(kubectl=KUBECTL))
    (tmp_path / "bin/kubectl").chmod(0o755)
    return root


def python(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = f"{project.parent / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, *words],
        cwd=project,
        env=os.environ | {"PATH": path, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
    )


def verb(project: Path, *words: str, verdicts: str = "") -> subprocess.CompletedProcess[str]:
    (project / "verdicts").write_text(verdicts)
    return python(project, "-m", "late_flights.production.cluster", *words)


def image(project: Path) -> str:
    """Which image of the service the cluster was given last."""
    for each in yaml.safe_load_all((project / "cluster.yaml").read_text()):
        if (each["kind"], each["metadata"]["name"]) == ("Deployment", "service"):
            return str(each["spec"]["template"]["spec"]["containers"][0]["image"])
    raise LookupError("no Deployment of the service was applied")


def events(project: Path) -> list[str]:
    lines = (project / "releases/ledger.jsonl").read_text().splitlines()
    return [json.loads(line)["event"] for line in lines]


def test_deploy_promote_and_roll_back(project: Path) -> None:
    done = python(project, "-c", RELEASE, "old", "new")
    assert done.returncode == 0, done.stderr
    old, new = done.stdout.split()
    refused = verb(project, "promote", new)
    assert (refused.returncode, "nothing serves yet" in refused.stderr) == (1, True)
    # The first one.
    (project / "reports/package.json").write_text(json.dumps({"release": old}))
    assert verb(project, "deploy").returncode == 0
    assert image(project) == f"registry.example/late-flights:{old}"
    # One that Argo Rollouts finds worse goes back, in the folder too.
    refused = verb(project, "promote", new, verdicts="1\n0\n")
    assert (refused.returncode, "was rolled back" in refused.stderr) == (1, True)
    assert image(project) == f"registry.example/late-flights:{old}"
    assert old in (project / "deploy/kubernetes/kustomization.yaml").read_text()
    assert events(project) == ["deployed", "promoting", "rolling back", "rolled back"]
    # One that holds stays, until it is called back; a second call does no harm.
    assert verb(project, "promote", new).returncode == 0
    assert image(project) == f"registry.example/late-flights:{new}"
    assert verb(project, "deploy").returncode == 0
    assert image(project) == f"registry.example/late-flights:{new}"
    assert verb(project, "rollback").returncode == 0
    assert image(project) == f"registry.example/late-flights:{old}"
    assert "nothing to undo" in verb(project, "rollback").stdout
    assert events(project)[-4:] == ["promoting", "promoted", "rolling back", "rolled back"]


def test_what_a_killed_promotion_left_is_taken_back(project: Path) -> None:
    old, new = python(project, "-c", RELEASE, "old", "new").stdout.split()
    lines = [
        {"event": "deployed", "release": old},
        {"event": "promoting", "release": new, "over": old},
    ]
    ledger = "".join(json.dumps({"at": 1.0} | line) + "\n" for line in lines)
    (project / "releases/ledger.jsonl").write_text(ledger)
    # The old one does not get ready: said, and the next call goes on.
    refused = verb(project, "rollback", verdicts="1\n")
    assert (refused.returncode, "does not get ready" in refused.stderr) == (1, True)
    assert verb(project, "rollback").returncode == 0
    assert image(project) == f"registry.example/late-flights:{old}"
    assert events(project) == ["deployed", "promoting", "rolling back", "rolled back"]
