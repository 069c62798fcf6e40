"""What is derived for where it runs; of Kubernetes documents, what schemas and policies say."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

CRDS = Path(__file__).with_name("crds")  # of the projects' releases, without descriptions
KUBECTL = Path(sys.executable).with_name("kubectl")
VERSIONS = ("1.30", "1.37")
Document = dict[str, Any]
Planned = Callable[..., Path]


@pytest.fixture(scope="session")
def planned(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """Render for a target, run the emitted planner there; return the folder of what is derived."""
    done: dict[str, Path] = {}

    def run(target: str, **answers: object) -> Path:
        key = str((target, answers))
        if key not in done:
            done[key] = tmp_path_factory.mktemp(target) / "project"
            shutil.copytree(render(target=target, **answers), done[key])
            for words in ([], ["--check"]):
                subprocess.run(
                    [sys.executable, "-m", "late_flights.production", "plan", *words],
                    cwd=done[key],
                    env=os.environ | {"PYTHONPATH": "src"},
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
        return done[key] / "ops/derived"

    return run


def run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kustomize(folder: Path) -> list[Document]:
    """Every document that `kubectl apply -k` would send."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def named(document: Document) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


def objections(document: Document) -> list[str]:
    """What the schema of its kind says against a document, or that there is no schema."""
    group, _, version = document["apiVersion"].rpartition("/")
    schema = CRDS / f"{document['kind'].lower()}_{version}.json"
    if group.endswith((".io", ".sh", ".com")) and schema.exists():
        strict = json.loads(schema.read_text()) | {"additionalProperties": False}
        found = jsonschema.Draft202012Validator(strict).iter_errors(document)
        return [f"{named(document)}: {error.json_path}: {error.message}" for error in found]
    try:
        for each in VERSIONS:
            kubernetes_validate.validate(document, each, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return [f"{named(document)}: no schema for {document['apiVersion']}"]
    except kubernetes_validate.ValidationError as error:
        return [f"{named(document)}: {error.message}"]
    return []


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Every pod's specification, with the name of what makes it."""
    for document in documents:
        spec = document.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "containers" in spec.get("template", {}).get("spec", {}):
            yield named(document), spec["template"]["spec"]


def broken_policies(name: str, pod: Document) -> list[str]:
    """Which rules a pod breaks: on users, rights, what it may write to, limits, probes."""
    kept, own = pod.get("securityContext", {}), pod["containers"]
    holds = {
        "runs as root": kept.get("runAsNonRoot") is True and kept.get("runAsUser", 0) >= 1000,
        "no seccomp": kept.get("seccompProfile") == {"type": "RuntimeDefault"},
        "has a token": pod.get("automountServiceAccountToken") is False,
        "is on the host": not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(),
    }
    for each in own:
        allowed, limits = each.get("securityContext", {}), each.get("resources", {})
        holds |= {
            "may get more rights": allowed.get("allowPrivilegeEscalation") is False,
            "writes to its image": allowed.get("readOnlyRootFilesystem") is True,
            "has capabilities": allowed.get("capabilities") == {"drop": ["ALL"]},
            "has no limits": {"cpu", "memory"} <= limits.get("limits", {}).keys(),
            "has no requests": {"cpu", "memory"} <= limits.get("requests", {}).keys(),
            "has a secret in plain text": not [v for v in each.get("env", []) if "PASS" in str(v)],
        }
        if name.startswith(("Deployment", "Rollout")):
            holds["has no probes"] = {"readinessProbe", "livenessProbe"} <= each.keys()
    return [f"{name} {rule}" for rule, held in holds.items() if not held]
