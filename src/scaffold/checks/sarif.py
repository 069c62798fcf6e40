"""The findings as SARIF 2.1.0, for code hosts and editors, and the score as a badge."""

import hashlib
import json
from typing import Any
from urllib.parse import quote

from scaffold import __version__
from scaffold.checks import catalogue
from scaffold.checks.result import Checked, Finding
from scaffold.checks.rule import Rule

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
COLOURS = ((5, "brightgreen"), (3, "green"), (2, "yellowgreen"), (1, "yellow"), (0, "orange"))


def sarif(checked: Checked) -> str:
    """Return one run; a finding without a place of its own is shown at the README."""
    known = catalogue.rules()
    codes = list(dict.fromkeys(finding.code for finding in checked.findings))
    driver = {
        "name": "scaffold check",
        "semanticVersion": __version__,
        "rules": [_rule(known[code]) for code in codes],
    }
    points = {name: checked.points(name) for name in checked.sections}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the root of the repository"}}},
        "results": [_result(finding, codes.index(finding.code)) for finding in checked.findings],
        "properties": {"score": checked.score, **points},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def badge(checked: Checked) -> str:
    """Return a line of Markdown for a README: the score, in the colour of its band."""
    colour = next((name for above, name in COLOURS if checked.score > above), "red")
    score = f"{checked.score:g} of 7"
    address = f"https://img.shields.io/badge/ML_Test_Score-{quote(score)}-{colour}"
    return f"![ML Test Score: {score}]({address})"


def _rule(rule: type[Rule]) -> dict[str, Any]:
    text = f"{rule.why()} Way out: {rule.way_out()}."
    return {
        "id": rule.code(),
        "name": rule.code(),
        "shortDescription": {"text": f"{rule.title()}."},
        "fullDescription": {"text": rule.why()},
        "help": {"text": text, "markdown": catalogue.section(rule)},
        "defaultConfiguration": {"level": rule.level},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    place: dict[str, Any] = {
        "artifactLocation": {"uri": quote(finding.path or "README.md"), "uriBaseId": "SRCROOT"}
    }
    if finding.line:
        place["region"] = {"startLine": finding.line}
    same = hashlib.sha256(f"{finding.code}|{finding.path}|{finding.what}".encode()).hexdigest()
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": finding.level,
        "message": {"text": f"{finding.title}: {finding.what}. Way out: {finding.way_out}."},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"finding/v1": same},
    }
