"""What runs have said about a repository of ours: its rehearsal, its tests, its gates."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from xml.etree import ElementTree

from scaffold.checks.reading import Repo, mapping, several

FAULTS = r"^src/[^/]+/production/rehearse/faults\.yaml$"
REHEARSAL, TESTS = "reports/rehearsal.json", "reports/tests.xml"
EVALUATION, STALENESS = "reports/evaluate.json", "reports/staleness.json"
SEARCH = "reports/search.json"
REPORTS = (REHEARSAL, EVALUATION, STALENESS)


@dataclass(frozen=True)
class Evidence:
    """The reports of one repository; most are ignored by git, and read where they lie."""

    repo: Repo

    @cached_property
    def faults_file(self) -> str:
        return next(iter(self.repo.matching(FAULTS)), "")

    @property
    def ours(self) -> bool:
        """Say whether our template wrote it: it rehearses, and promises are data."""
        return bool(self.faults_file) and self.repo.has("slo.yaml")

    @cached_property
    def declared(self) -> set[str]:
        """The faults that the rehearsal would inject."""
        faults = self.repo.document(self.faults_file) if self.faults_file else {}
        return {name for kind in faults.values() for name in mapping(kind)}

    def declares(self, faults: list[str], tests: list[str]) -> bool:
        """Say whether the repo still holds one of these faults, or one of these tests."""
        return not self.declared.isdisjoint(faults) or not self.declared_tests.isdisjoint(tests)

    @cached_property
    def rehearsal(self) -> dict[str, Any]:
        return self.repo.document(REHEARSAL)

    @property
    def noise(self) -> str:
        """What the rehearsal heard before any fault: then its alarms say nothing."""
        return "; ".join(map(str, several(self.rehearsal.get("control"))))

    @cached_property
    def verdicts(self) -> dict[str, dict[str, Any]]:
        """What the rehearsal said of each fault that it injected."""
        results = [] if self.noise else several(self.rehearsal.get("results"))
        return {str(mapping(result).get("id")): mapping(result) for result in results}

    @property
    def promoted(self) -> bool:
        """Say whether a release went from the pipeline to all traffic in the rehearsal."""
        ledger = [mapping(event) for event in several(self.rehearsal.get("ledger"))]
        return any(event.get("event") == "promoted" for event in ledger)

    @cached_property
    def declared_tests(self) -> set[str]:
        texts = (self.repo.text(path) for path in self.repo.matching(r"^tests/test_\w+\.py$"))
        return {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.M)}

    @cached_property
    def tests(self) -> dict[str, bool]:
        """Which tests ran, and whether all their cases passed; skipped ones said nothing."""
        found: dict[str, bool] = {}
        for case in _cases(self.repo.text(TESTS)):
            name = case.get("name", "").partition("[")[0]
            if case.find("skipped") is None:
                passed = case.find("failure") is None and case.find("error") is None
                found[name] = found.get(name, True) and passed
        return found

    def failing(self, gate: str) -> bool:
        """Say whether a gate of the last evaluation did not hold."""
        gates = several(self.repo.document(EVALUATION).get("gates"))
        held = [each.get("holds") for each in map(mapping, gates) if each.get("name") == gate]
        return False in held


def _cases(text: str) -> list[ElementTree.Element]:
    try:
        return list(ElementTree.fromstring(text).iter("testcase")) if "<!" not in text else []
    except ElementTree.ParseError:
        return []
