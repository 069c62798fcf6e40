"""Objectives and alerts: does anyone own them, and can they fire?"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scaffold.checks.budgets import never
from scaffold.checks.reading import Repo, mapping, several
from scaffold.checks.result import Finding
from scaffold.checks.rule import Guard, Subject

YAML, OWNER = r"\.ya?ml$", re.compile(r"(^|[/_.-])(owner|team|squad)s?$", re.IGNORECASE)
SERIES = re.compile(r"(?<![\w:])[a-zA-Z_]\w*:[\w:]*\w(?![\w:]*\()")
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\[[^\]]*\]")


@dataclass(frozen=True)
class Alert:
    """One alert of a rule file."""

    path: str
    line: int
    name: str
    expr: str
    labels: dict[str, Any]
    annotations: dict[str, Any]


class SC001(Guard):
    """An objective has no owner.

    A promise that belongs to everybody is kept by nobody: when it is broken, no one is asked.
    Looked for: `objectives` and `owners` in slo.yaml, OpenSLO documents and Sloth's, each with an
    owner or a team.

    Way out: name an owner beside the objective: a role of `owners`, or a label owner or team.
    """

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        repo = subject.repo
        for path in repo.matching(YAML):
            text = repo.text(path)
            if "objectives" in text or "slos:" in text:
                for name in _unowned(repo, path):
                    yield cls.finding(f"nobody owns {name}", path, repo.line(path, name))


class SC002(Guard):
    """An alert does not say whom it wakes, how urgent it is, or what to do.

    Who is woken by an alert without an owner, a severity and a runbook starts from nothing, at
    night. Looked for: the labels owner (or team) and severity, and an annotation runbook (or
    runbook_url).

    Way out: add the labels, and a section of a runbook.
    """

    level = "warning"

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        for alert in alerts(subject.repo):
            has = {
                "owner": any(OWNER.search(key) for key in alert.labels),
                "severity": bool({"severity", "priority"} & alert.labels.keys()),
                "runbook": any("runbook" in key for key in alert.annotations),
            }
            if lacks := [name for name, there in has.items() if not there]:
                yield cls.finding(f"{alert.name} has no {', '.join(lacks)}", alert.path, alert.line)


class SC003(Guard):
    """An alert can never fire.

    A share of failed requests is at most 1. A burn rate of 14.4 at a target of 93 % asks for more
    than 1: the alert is decoration. Looked for: shares that are compared with 1 or more, and `bad >
    1.2 * all`.

    Way out: choose a smaller factor, or a stricter target.
    """

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        for alert in alerts(subject.repo):
            if reason := never(alert.expr):
                yield cls.finding(f"{alert.name}: {reason}", alert.path, alert.line)


class SC004(Guard):
    """An alert asks for a series that nothing records.

    A query of a series that does not exist is empty, and an empty alert is quiet for ever. Looked
    for: names with a colon, which by convention come from a recording rule, where the repository
    has such rules.

    Way out: correct the name, or record the series.
    """

    level = "warning"

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        recorded = {str(rule["record"]) for _, rule in _rules(subject.repo) if "record" in rule}
        for alert in alerts(subject.repo) if recorded else ():
            for name in sorted({*SERIES.findall(QUOTED.sub("", alert.expr))} - recorded):
                yield cls.finding(f"{alert.name} asks for {name}", alert.path, alert.line)


def alerts(repo: Repo) -> Iterator[Alert]:
    """Go through the alerts of all rule files, also those inside a PrometheusRule."""
    for path, rule in _rules(repo):
        if "alert" in rule:
            name = str(rule["alert"])
            labels, notes = mapping(rule.get("labels")), mapping(rule.get("annotations"))
            line = repo.line(path, f"alert: {name}") or repo.line(path, name)
            yield Alert(path, line, name, str(rule.get("expr", "")), labels, notes)


def rule_files(repo: Repo) -> list[str]:
    return [
        path
        for path in repo.matching(YAML)
        if "expr:" in (text := repo.text(path)) and ("alert:" in text or "record:" in text)
    ]


def _rules(repo: Repo) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in rule_files(repo):
        for document in map(mapping, repo.parsed(path).documents):
            groups = document.get("groups") or mapping(document.get("spec")).get("groups")
            for group in map(mapping, several(groups)):
                for rule in map(mapping, several(group.get("rules"))):
                    if "expr" in rule:
                        yield path, rule


def _unowned(repo: Repo, path: str) -> Iterator[str]:
    for document in map(mapping, repo.parsed(path).documents):
        meta = mapping(document.get("metadata"))
        named = {**mapping(meta.get("labels")), **mapping(meta.get("annotations"))}
        if str(document.get("apiVersion", "")).startswith("openslo/"):
            if document.get("kind") == "SLO" and not _owned(named):
                yield str(meta.get("name", "an objective"))
        elif str(document.get("version", "")).startswith("prometheus/v1"):
            shared = mapping(document.get("labels"))
            for each in map(mapping, several(document.get("slos"))):
                if not _owned({**shared, **mapping(each.get("labels"))}):
                    yield str(each.get("name", "an objective"))
        elif path.endswith("slo.yaml"):
            owners = mapping(document.get("owners"))
            for name, promise in mapping(document.get("objectives")).items():
                if not owners.get(str(mapping(promise).get("owner"))):
                    yield name


def _owned(labels: dict[str, Any]) -> bool:
    return any(OWNER.search(key) and value for key, value in labels.items())
