"""Kubernetes: every document is valid, strictly; policies hold; numbers follow from promises."""

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests import (
    Document,
    Planned,
    broken_policies,
    kustomize,
    named,
    objections,
    pods,
    run,
)

OVERLAYS = ["base", "overlays/staging", "overlays/production"]
COUNTED = {  # what stands in production; base and staging lack what judges a candidate
    "Namespace": 1,
    "ServiceAccount": 1,
    "Service": 3,
    "ConfigMap": 2,
    "PersistentVolumeClaim": 1,
    "Deployment": 3,
    "CronJob": 2,
    "PodDisruptionBudget": 2,
    "NetworkPolicy": 4,
    "ScaledObject": 1,
    "ServiceMonitor": 3,
    "PrometheusRule": 1,
    "Rollout": 1,
    "AnalysisTemplate": 1,
}


@pytest.fixture(scope="module")
def production(planned: Planned) -> list[Document]:
    return kustomize(planned("kubernetes") / "kubernetes/overlays/production")


def one(documents: list[Document], name: str) -> Document:
    (found,) = [each for each in documents if named(each) == name]
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_document_is_valid_and_none_is_of_an_unknown_kind(
    overlay: str, planned: Planned
) -> None:
    documents = kustomize(planned("kubernetes") / "kubernetes" / overlay)
    assert [said for each in documents for said in objections(each)] == []
    kinds = Counter(each["kind"] for each in documents)
    lacks = {"base": {"Namespace", "Rollout", "AnalysisTemplate"}, "overlays/production": set()}
    missing = lacks.get(overlay, {"Rollout", "AnalysisTemplate"})
    assert kinds == {kind: n for kind, n in COUNTED.items() if kind not in missing}


WRONG: list[tuple[str, str, Any, str]] = [
    ("Deployment/service", "replica", 3, "'replica' was unexpected"),
    ("Rollout/service", "stratgy", {}, "'stratgy' was unexpected"),
    ("ScaledObject/service", "minReplicaCount", "two", "'two' is not of type 'integer'"),
    ("PrometheusRule/promises", "groups", [{}], "'name' is a required property"),
    ("AnalysisTemplate/candidate", "metrics", [{"name": 1}], "1 is not of type 'string'"),
    ("ServiceMonitor/proxy", "endpoint", [], "'endpoint' was unexpected"),
]


@pytest.mark.parametrize(("name", "key", "value", "said"), WRONG, ids=[each[0] for each in WRONG])
def test_the_validation_bites(
    name: str, key: str, value: object, said: str, production: list[Document]
) -> None:
    document = copy.deepcopy(one(production, name))
    document["spec"][key] = value
    assert any(said in each for each in objections(document)), objections(document)
    document["kind"] = "Unheard"
    assert objections(document) == [
        f"Unheard/{name.split('/')[1]}: no schema for {document['apiVersion']}"
    ]


def test_every_pod_keeps_the_policies_and_they_bite(production: list[Document]) -> None:
    found = dict(pods(production))
    assert set(found) == {
        *(f"Deployment/{name}" for name in ("service", "proxy", "watch")),
        *(f"CronJob/{name}" for name in ("watch", "retrain")),
    }
    assert [said for name, pod in found.items() for said in broken_policies(name, pod)] == []
    bare = {"containers": [{"image": "x", "env": [{"name": "PASSWORD", "value": "x"}]}]}
    assert len(broken_policies("Deployment/bare", bare)) == 10


def test_numbers_follow_from_the_promises(planned: Planned, production: list[Document]) -> None:
    busy = kustomize(planned("kubernetes", peak_rps=500) / "kubernetes/overlays/production")
    slow = kustomize(planned("kubernetes", latency_p99_ms=3000) / "kubernetes/overlays/production")
    counts = [one(each, "ScaledObject/service")["spec"] for each in (production, busy)]
    assert [(each["minReplicaCount"], each["maxReplicaCount"]) for each in counts] == [
        (2, 2),
        (6, 11),
    ]
    for documents, grace in ((production, 18), (slow, 46)):
        pod = one(documents, "Deployment/service")["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == grace
        (wait,) = pod["containers"]
        assert int(wait["lifecycle"]["preStop"]["exec"]["command"][1]) < grace
    steps = one(production, "Rollout/service")["spec"]["strategy"]["canary"]["steps"]
    policy = yaml.safe_load((planned("kubernetes") / "canary.json").read_text())
    assert [s["setWeight"] for s in steps if "setWeight" in s] == policy["steps_percent"]


def test_what_the_documents_name_is_there(planned: Planned, production: list[Document]) -> None:
    main = planned("kubernetes").parents[1] / "src/late_flights/production/__main__.py"
    verbs = {n.value for n in ast.walk(ast.parse(main.read_text())) if isinstance(n, ast.Constant)}
    for name, pod in pods(production):
        (container,) = pod["containers"]
        called = re.findall(r"production,? (\w+)", " ".join(container.get("command", [])))
        assert set(called) <= verbs
        assert bool(called) == container["image"].endswith("-jobs"), name
        volumes = {each["name"] for each in pod["volumes"]}
        assert {each["name"] for each in container["volumeMounts"]} == volumes
        ports = {each["name"] for each in container.get("ports", [])}
        for probe in re.findall(r"'port': '(\w+)'", str(container)):
            assert probe in ports
    labels = [pod["metadata"]["labels"] for pod in templates(production)]
    for each in production:
        selector = each.get("spec", {}).get("selector", {})
        wanted = selector.get("matchLabels", selector) if each["kind"] == "Service" else {}
        assert not wanted or any(wanted.items() <= label.items() for label in labels), named(each)


def templates(documents: list[Document]) -> Iterator[Document]:
    for each in documents:
        if each["kind"] == "Deployment":
            yield each["spec"]["template"]


def test_its_alerts_are_those_of_the_rehearsal(
    planned: Planned, production: list[Document]
) -> None:
    rules = yaml.safe_load((planned("kubernetes") / "rules.yml").read_text())
    assert one(production, "PrometheusRule/promises")["spec"] == rules


# A candidate: how many it answered, how many of these badly, and the verdict.
JUDGED = [
    (1000, 0, "passes"),
    (1000, 8, "passes"),
    (44, 3, "passes"),
    (44, 20, "fails"),
    (1000, 30, "fails"),
]


@pytest.mark.parametrize(("asked", "bad", "verdict"), JUDGED)
def test_a_candidate_is_judged_by_its_answers(
    asked: int, bad: int, verdict: str, production: list[Document], tmp_path: Path
) -> None:
    metrics = one(production, "AnalysisTemplate/candidate")["spec"]["metrics"]
    said = {each["name"]: each["provider"]["prometheus"]["query"] for each in metrics}
    query = re.sub(r"\{\{args\.(\w+)\}\}", r"\1", said["errors"])
    series = [("candidate", "200", asked - bad), ("candidate", "500", bad), ("stable", "200", 9999)]
    label = 'route="predict",rollouts_pod_template_hash'
    rules = {
        "rule_files": ["rules.yml"],
        "tests": [
            {
                "interval": "15s",
                "input_series": [
                    {
                        "series": f'service_requests_total{{{label}="{who}",code="{code}"}}',
                        "values": f"{n}x4",
                    }
                    for who, code, n in series
                ],
                "alert_rule_test": [
                    {
                        "eval_time": "30s",
                        "alertname": "Worse",
                        "exp_alerts": [{}] if verdict == "fails" else [],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(rules))
    alert = {"alert": "Worse", "expr": f"({query}) > 0"}
    (tmp_path / "rules.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "candidate", "rules": [alert]}]})
    )
    run("promtool", "test", "rules", tmp_path / "test.yml")


def test_the_cluster_s_proxy_reads_its_configuration(planned: Planned) -> None:
    file = planned("kubernetes") / "kubernetes/base/haproxy.cfg"
    run("haproxy", "-c", "-f", file, NAMESPACE="late-flights")
