"""`scaffold check` on repos of our template: what a run has said counts, a file alone is half."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import FILES_ANSWERS, git
from scaffold.checks import catalogue
from scaffold.checks.result import Checked
from scaffold.checks.rule import Item
from scaffold.checks.run import check

Render = Callable[..., Path]
ITEMS = [item for section in catalogue.items().values() for item in section]
BY_FAULT = [item for item in ITEMS if item.faults]
REPLAYED = "test_any_logged_prediction_is_recomputed_bit_for_bit"
LEDGER = [{"event": "packaged"}, {"event": "promoted"}]


@pytest.fixture
def project(render: Render, tmp_path: Path) -> Path:
    """A new project, as it is before `make setup`."""
    root = tmp_path / "flights"
    shutil.copytree(render(), root)
    git(root, "init", "--quiet")
    return root


@pytest.fixture
def rehearsed(project: Path) -> Path:
    """The project after a rehearsal that caught everything, and its tests."""
    report(project)
    return project


def report(root: Path, **verdicts: str) -> None:
    """Write what a rehearsal writes: all faults caught, but those that are named otherwise."""
    faults = yaml.safe_load(next(root.glob("src/*/production/rehearse/faults.yaml")).read_text())
    told = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    results = [
        {"id": name, "verdict": told.get(name, "caught"), "said": f"{name} was said"}
        for kind in faults.values()
        for name in kind
    ]
    story = {"started": 99999999999, "results": results, "control": [], "ledger": LEDGER}
    save(root, "rehearsal.json", json.dumps(story))
    save(root, "tests.xml", f'<testsuite><testcase name="{REPLAYED}[a]"/></testsuite>')


def save(root: Path, name: str, text: str) -> None:
    (root / "reports").mkdir(exist_ok=True)
    (root / "reports" / name).write_text(text, encoding="utf-8")


def judged(found: Checked, code: str) -> tuple[float, str]:
    item = next(i for all_ in found.sections.values() for i in all_ if i.code == code)
    return item.points, item.what


def test_a_new_project_has_no_error_and_half_of_what_it_declares(project: Path) -> None:
    found = check(project)
    assert found.ours
    assert [each for each in found.findings if each.level in ("error", "warning")] == []
    assert {judged(found, item.code())[0] for item in BY_FAULT} == {0.5}
    assert all(each.way_out.startswith("make rehearse") for each in findings(found, BY_FAULT))
    assert {name: found.points(name) for name in found.sections} == {
        "data": 3.0,
        "model": 3.5,
        "infrastructure": 3.5,
        "monitoring": 3.5,
    }


@pytest.mark.parametrize("source", ["files", "stream"])
def test_a_project_of_your_own_rows_has_no_error_either(source: str, render: Render) -> None:
    found = check(render(**{**FILES_ANSWERS, "source": source}))
    assert [each for each in found.findings if each.level in ("error", "warning")] == []


def findings(found: Checked, items: list[type[Item]]) -> list[Any]:
    codes = {item.code() for item in items}
    return [each for each in found.findings if each.code in codes]


def test_a_rehearsal_that_caught_everything_counts_whole(rehearsed: Path) -> None:
    found = check(rehearsed)
    assert found.of_level("error") == []
    assert {judged(found, item.code())[0] for item in BY_FAULT} == {1}
    assert judged(found, "INFRA5") == (1, f"shown by a run: {REPLAYED}")
    assert {name: found.points(name) for name in found.sections} == {
        "data": 6.0,
        "model": 5.0,
        "infrastructure": 7.0,
        "monitoring": 7.0,
    }
    assert (found.score, found.weakest) == (5.0, ["model"])


@pytest.mark.parametrize("item", BY_FAULT, ids=lambda item: item.code())
def test_each_fault_of_an_item_moves_it(item: type[Item], project: Path) -> None:
    for fault in item.faults.split():
        report(project, **{fault: "got through"})
        points, what = judged(check(project), item.code())
        assert points == 0
        assert fault in what
        report(project, **{fault: "not run"})
        assert judged(check(project), item.code())[0] == 0.5
        report(project, **{fault: "does not apply"})
        alone = item.faults == fault
        assert judged(check(project), item.code())[0] == (0 if alone else 1)


def test_every_fault_that_an_item_names_is_one_of_the_rehearsal(project: Path) -> None:
    faults = yaml.safe_load(next(project.glob("src/*/production/rehearse/faults.yaml")).read_text())
    known = {name for kind in faults.values() for name in kind}
    assert {fault for item in BY_FAULT for fault in item.faults.split()} <= known
    tests = "".join(path.read_text() for path in (project / "tests").glob("test_*.py"))
    for item in ITEMS:
        assert all(f"def {name}(" in tests for name in item.proofs.split()), item


def test_a_rehearsal_of_one_fault_shows_that_one_only(project: Path) -> None:
    results = [{"id": "stale-model", "verdict": "caught"}]
    save(project, "rehearsal.json", json.dumps({"results": results, "ledger": []}))
    found = check(project)
    assert judged(found, "MONITOR4")[0] == 1
    assert judged(found, "MONITOR7") == (0.5, "declared, and no run has shown it: concept-drift")


def test_a_rehearsal_that_cried_before_any_fault_does_not_count(rehearsed: Path) -> None:
    story = json.loads((rehearsed / "reports/rehearsal.json").read_text())
    save(rehearsed, "rehearsal.json", json.dumps({**story, "control": ["a rollback"]}))
    found = check(rehearsed)
    assert judged(found, "MONITOR4")[0] == 0.5
    assert found.notes == ["the rehearsal does not count, its control was not quiet: a rollback"]


def test_no_promotion_no_whole_point(rehearsed: Path) -> None:
    story = json.loads((rehearsed / "reports/rehearsal.json").read_text())
    save(rehearsed, "rehearsal.json", json.dumps({**story, "ledger": LEDGER[:1]}))
    assert judged(check(rehearsed), "INFRA3")[0] == 0.5


def test_a_gate_that_does_not_hold_takes_the_point(rehearsed: Path) -> None:
    gates = [{"name": "slice", "holds": True}, {"name": "slice", "holds": False}]
    save(rehearsed, "evaluate.json", json.dumps({"gates": gates}))
    found = check(rehearsed)
    assert judged(found, "MODEL6") == (0, "the gate slice does not hold for this model")
    assert judged(found, "MODEL5")[0] == 1


@pytest.mark.parametrize(
    ("case", "points"),
    [("<failure/>", 0), ("<error/>", 0), ("<skipped/>", 0.5), ("", 1)],
)
def test_a_test_counts_as_it_ended(rehearsed: Path, case: str, points: float) -> None:
    save(rehearsed, "tests.xml", f'<t><testcase name="{REPLAYED}">{case}</testcase></t>')
    assert judged(check(rehearsed), "INFRA5")[0] == points


def test_what_only_its_owner_can_do_is_asked_for(rehearsed: Path) -> None:
    assert judged(check(rehearsed), "MODEL7")[0] == 0
    card = rehearsed / "docs/card.yaml"
    card.write_text(card.read_text().replace('people_concerned: ""', "people_concerned: flyers"))
    save(rehearsed, "staleness.json", '{"holds_days": 90, "promised": 60}')
    found = check(rehearsed)
    assert judged(found, "MODEL7")[0] == 1
    assert judged(found, "MODEL4") == (1, "measured: holds for 90 days, 60 are promised")
    assert judged(found, "MODEL3") == (0.5, "`make search` is there, and was not run")
    save(rehearsed, "search.json", '{"tried": [{"name": "a"}, {"name": "b"}]}')
    assert judged(check(rehearsed), "MODEL3") == (1, "2 settings were tried")


def test_a_fault_that_is_taken_out_of_the_repo_is_worth_nothing(project: Path) -> None:
    faults = next(project.glob("src/*/production/rehearse/faults.yaml"))
    faults.write_text(faults.read_text().replace("  stale-model:", "  other-model:"))
    assert judged(check(project), "MONITOR4") == (0, "taken out of the repo: stale-model")


def test_a_derived_file_that_was_edited_is_named(project: Path) -> None:
    planner = [sys.executable, "-m", "late_flights.production", "plan"]
    shell = {**os.environ, "PYTHONPATH": "src"}
    subprocess.run(planner, cwd=project, env=shell, check=True, capture_output=True)
    assert [each for each in check(project).findings if each.level != "note"] == []
    rules = project / "ops/derived/rules.yml"
    rules.write_text(rules.read_text().replace("severity: page", "severity: ticket", 1))
    broken = check(project).of_level("error")
    assert [(each.code, each.path) for each in broken] == [("SC008", "ops/derived/rules.yml")]
    rules.unlink()
    gone = check(project, {"SC008"}).findings
    assert [each.what for each in gone] == ["ops/derived/rules.yml is gone"]
