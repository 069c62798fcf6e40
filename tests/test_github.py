"""What the code host reads: workflows that linters pass, rules and forms that name what exists."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import ROOT

Render = Callable[..., Path]


@pytest.mark.parametrize("target", ["local", "compose", "kubernetes"])
def test_every_step_is_a_verb_or_a_script_that_is_there(target: str, render: Render) -> None:
    root = render(target=target)
    verbs = set(re.findall(r"(?m)^([a-z-]+):", (root / "Makefile").read_text()))
    for path in (root / ".github/workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in (step for step in job["steps"] if "run" in step):
                needed = re.findall(r"hashFiles\('([^']+)'\) != ''", str(step.get("if", "")))
                if not all((root / file).exists() for file in needed):
                    continue  # It is not run.
                command = step["run"]
                program, *words = command.split()
                assert program in ("make", "bash", "gh"), command
                if program == "make":
                    words = [word for word in words if "=" not in word]
                    assert {*words} <= verbs | {'"$VERB"'}, command
                if program == "bash":
                    assert (root / words[0]).is_file(), command


LINTERS = [
    ["actionlint"],
    ["zizmor", "--offline", "--quiet"],
    ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
]


@pytest.mark.parametrize("linter", LINTERS, ids=lambda command: command[0])
@pytest.mark.parametrize("house", ["generator", "emitted"])
def test_workflows_pass_their_linters(linter: list[str], house: str, render: Render) -> None:
    root = ROOT if house == "generator" else render()
    workflows = sorted((root / ".github/workflows").glob("*.yml"))
    assert workflows
    tool = Path(sys.executable).parent / linter[0]
    done = subprocess.run([tool, *linter[1:], *workflows], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_linter_bites(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("on: push\njobs: {a: {runs-on: ubuntu-latest, step: []}}\n")
    tool = Path(sys.executable).parent / "actionlint"
    done = subprocess.run([tool, tmp_path / "bad.yml"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "step" in done.stdout


def test_what_dependabot_renews_is_there(render: Render) -> None:
    path = render() / ".github/dependabot.yml"
    tool = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema"]
    subprocess.run([*tool, "vendor.dependabot", path], check=True, capture_output=True)
    kinds = {update["package-ecosystem"] for update in yaml.safe_load(path.read_text())["updates"]}
    assert kinds == {"pip", "github-actions"}
    bad = path.with_name("bad.yml")
    bad.write_text("version: 2\nupdates: [{package-ecosystem: pip}]\n")
    done = subprocess.run([*tool, "vendor.dependabot", bad], capture_output=True)
    bad.unlink()
    assert done.returncode != 0


def test_main_asks_for_an_owner_and_for_a_check_that_exists(render: Render) -> None:
    rules = json.loads((render() / ".github/rulesets/main.json").read_text())
    assert rules["conditions"]["ref_name"]["include"] == ["~DEFAULT_BRANCH"]
    known = {rule["type"]: rule.get("parameters") for rule in rules["rules"]}
    assert known["pull_request"]["require_code_owner_review"]
    asked = {each["context"] for each in known["required_status_checks"]["required_status_checks"]}
    ci = yaml.safe_load((render() / ".github/workflows/ci.yml").read_text())
    assert asked == set(ci["jobs"])  # A check that nobody runs would let nothing in, ever.
    assert {"deletion", "non_fast_forward"} <= known.keys()
    readme = (render() / "README.md").read_text()
    assert "gh api repos/{owner}/{repo}/rulesets --input .github/rulesets/main.json" in readme


FORMS = ["SECURITY.md", "pull_request_template.md", "ISSUE_TEMPLATE/change.md"]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_names_owners_files_and_verbs_that_are_there(form: str, render: Render) -> None:
    root = render()
    text = (root / ".github" / form).read_text()
    verbs = set(re.findall(r"(?m)^([a-z-]+):", (root / "Makefile").read_text()))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= verbs
    names = {path.name for path in root.rglob("*")} | {"CODEOWNERS", "incident.md", "sbom.json"}
    found = re.findall(r"`([\w./-]+\.(?:md|json|yaml|yml|py)|\.github/CODEOWNERS)`", text)
    assert {Path(name).name for name in found} <= names
    owners = set(yaml.safe_load((root / "slo.yaml").read_text())["owners"])
    signed = set(re.findall(r"\*\*(data|model|platform)\*\*", text)) or owners
    assert signed == owners
    assert "`owners` in `slo.yaml`" in text
