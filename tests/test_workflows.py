"""The emitted workflows, run by act on this machine: what each does, also when a step fails.

The verbs are stood in for (other tests run them); scripts, conditions and git are real.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import commit_all, git

Render = Callable[..., Path]
ACT = Path(sys.executable).with_name("act")
STUB = "runs: {using: composite, steps: [{run: 'echo %s >> $LOG', shell: bash}]}\n"
MAKE = """\
#!/bin/sh
echo "make $*${RELEASE:+ of $RELEASE}" >> $LOG
test "$*" != "$BROKEN" || exit 1
case $1 in
  retrain) sed -i s/2013-04-01/2013-05-01/ params.yaml; echo >> dvc.lock;;
  update) test "$FRESH" || { sed -i '1i_commit: v2.0.0' .copier-answers.yml; git add .; };;
  up) mkdir -p releases; echo too many errors > releases/ledger.jsonl;;
esac
"""
GH = '#!/bin/sh\necho "gh $*" >> $LOG\n'


class Runner:
    """A project with an origin, on a machine where only act, git and stand-ins are."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.root, self.origin, self.log = folder / "project", folder / "origin.git", folder / "log"
        subprocess.run(["cp", "-r", project, self.root], check=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        git(self.root, "init", "--quiet", "--initial-branch=main")
        commit_all(self.root)
        git(self.root, "remote", "add", "origin", str(self.origin))
        git(self.root, "push", "--quiet", "origin", "main")
        (folder / "bin").mkdir()
        for name, text in (("make", MAKE), ("gh", GH)):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self._folder, self._actions = folder, []
        for action, name in sorted(set(self._used())):
            (folder / name).mkdir()
            (folder / name / "action.yml").write_text(STUB % name)
            self._actions.append(f"--local-repository={action}={folder / name}")

    def _used(self) -> list[tuple[str, str]]:
        found = []
        for path in (self.root / ".github/workflows").glob("*.yml"):
            found += re.findall(r"uses: (\S+/(\S+)@\S+)", path.read_text())
        return [(action, name) for action, name in found if name != "checkout"]

    def run(
        self, workflow: str, event: str, *options: str, broken: str = ""
    ) -> tuple[bool, list[str]]:
        """Run a workflow; return whether it passed, and what was done in it."""
        self.log.write_text("")
        shell = {"LOG": str(self.log), "BROKEN": broken, "HOME": str(self._folder)}
        shell["PATH"] = f"{self._folder / 'bin'}:{os.environ['PATH']}"
        words = [event, "-W", f".github/workflows/{workflow}.yml", "--pull=false"]
        words += [
            "--action-offline-mode",
            "-s",
            "GITHUB_TOKEN=none",
            "-P",
            "ubuntu-latest=-self-hosted",
            *self._actions,
        ]
        words += [f"--env={name}={shell[name]}" for name in ("LOG", "BROKEN")]
        command = [str(ACT), *words, *options]
        done = subprocess.run(
            command, cwd=self.root, env={**os.environ, **shell}, capture_output=True, text=True
        )
        print(done.stdout, done.stderr)
        return done.returncode == 0, self.log.read_text().splitlines()


@pytest.fixture
def runner(render: Render, tmp_path: Path) -> Runner:
    return Runner(render(), tmp_path)


@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_ci_runs_the_verbs_and_keeps_the_reports_also_when_one_fails(
    event: str, runner: Runner
) -> None:
    verbs = [f"make {verb}" for verb in ("setup", "check", "test", "rehearse")]
    passed, done = runner.run("ci", event)
    assert (passed, done) == (True, ["setup-python", *verbs, "upload-artifact"])
    passed, done = runner.run("ci", event, broken="test")
    assert (passed, done) == (False, ["setup-python", *verbs[:3], "upload-artifact"])


def test_ci_builds_the_image_where_there_is_one(render: Render, tmp_path: Path) -> None:
    passed, done = Runner(render(target="compose"), tmp_path).run("ci", "push")
    assert (passed, done[-3:]) == (True, ["make rehearse", "make image", "upload-artifact"])


PRODUCTION = ("--var=PRODUCTION_RUNNER=production", "-P", "production=-self-hosted")


@pytest.mark.parametrize("event", ["schedule", "workflow_dispatch"])
def test_a_retraining_is_proposed_on_a_branch_with_its_tag(event: str, runner: Runner) -> None:
    passed, done = runner.run("retrain", event)
    assert (passed, done) == (True, [])  # No runner has been named.
    # What `make retrain` leaves beside its files: a tag that no branch leads to.
    made = git(runner.root, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "0123").strip()
    git(runner.root, "tag", "--annotate", "--message", "0123", "late_flights@v1.2.0", made)
    for _ in range(2):  # A second run on the same day is no other branch.
        passed, done = runner.run("retrain", event, *PRODUCTION)
        assert passed, done
        assert done[:3] == ["make watch", "make retrain", "make push"]
        (branch,) = re.findall(r"refs/heads/(retrain-\S+)", git(runner.origin, "show-ref"))
        assert f"gh pr create --head {branch}" in done[-1]
        assert "--body-file reports/candidate.md" in done[-1]
    assert "2013-05-01" in git(runner.origin, "show", f"{branch}:params.yaml")
    assert "late_flights@v1.2.0" in git(runner.origin, "tag")


def test_what_a_gate_refuses_is_not_proposed(runner: Runner) -> None:
    passed, done = runner.run("retrain", "schedule", *PRODUCTION, broken="retrain")
    assert (passed, done) == (False, ["make watch", "make retrain"])
    assert "retrain-" not in git(runner.origin, "show-ref")


@pytest.mark.parametrize("verb", ["promote", "rollback"])
def test_a_release_is_let_in_or_taken_back_and_git_knows(verb: str, runner: Runner) -> None:
    assert runner.run("release", "workflow_dispatch") == (True, [])  # No runner has been named.
    git(runner.root, "tag", "--annotate", "--message", "0123", "late_flights#production#2")
    asked = (f"--input=verb={verb}", "--input=release=0123")
    passed, done = runner.run("release", "workflow_dispatch", *PRODUCTION, *asked)
    assert (passed, done) == (True, [f"make {verb} of 0123", "gh auth setup-git"])
    assert "late_flights#production#2" in git(runner.origin, "tag")


def test_a_bad_release_is_taken_back_and_told(runner: Runner) -> None:
    asked = (*PRODUCTION, "--input=verb=promote")
    passed, done = runner.run("release", "workflow_dispatch", *asked, broken="promote")
    assert not passed
    assert done[:2] == ["make promote", "make up status"]
    assert done[2] == "gh issue create --title A release did not get in --body too many errors"


def asked(runner: Runner, folder: Path, repository: str, author: str = "ada") -> list[str]:
    """Options of a pull request from a repository."""
    about = {"head": {"repo": {"full_name": repository}}, "user": {"login": author}}
    (folder / "event.json").write_text(json.dumps({"number": 7, "pull_request": about}))
    return ["--eventpath", str(folder / "event.json"), "--env=GITHUB_REPOSITORY=ada/flights"]


NEWER = "Update to the newest template"
COMPARED = ["setup-python", "make setup", "make compare BASE=HEAD^1", "upload-artifact"]
COMMENT = [
    "download-artifact",
    "gh pr comment 7 --edit-last --create-if-none --body-file candidate.md",
]


@pytest.mark.parametrize("broken", ["", "compare BASE=HEAD^1"])
def test_a_pull_request_is_trained_and_its_comparison_is_one_comment(
    broken: str, runner: Runner, tmp_path: Path
) -> None:
    ours = asked(runner, tmp_path, "ada/flights")
    passed, done = runner.run("train", "pull_request", *ours, broken=broken)
    assert (passed, done) == (not broken, COMPARED + COMMENT)


@pytest.mark.parametrize(
    ("repository", "author"), [("eve/flights", "eve"), ("ada/flights", "dependabot[bot]")]
)
def test_who_has_no_token_that_writes_finds_the_comparison_in_the_summary(
    repository: str, author: str, runner: Runner, tmp_path: Path
) -> None:
    theirs = asked(runner, tmp_path, repository, author)
    assert runner.run("train", "pull_request", *theirs) == (True, COMPARED)


CLOUDS = {"AWS_ROLE": "configure-aws-credentials", "GCP_PROVIDER": "auth", "AZURE_CLIENT": "login"}


@pytest.mark.parametrize("variable", CLOUDS)
def test_a_cloud_is_opened_without_a_key_before_data_is_pulled(
    variable: str, runner: Runner, tmp_path: Path
) -> None:
    ours = [*asked(runner, tmp_path, "eve/flights"), f"--var={variable}=7919"]
    done = runner.run("train", "pull_request", *ours)[1]
    assert done == [*COMPARED[:2], CLOUDS[variable], "make pull", *COMPARED[2:]]
    for path in (runner.root / ".github/workflows").glob("*.yml"):
        assert set(re.findall(r"secrets\.(\w+)", path.read_text())) <= {"UPDATE_TOKEN"}, path


def test_a_newer_template_is_proposed_once(runner: Runner) -> None:
    passed, done = runner.run("update-template", "schedule")
    assert passed, done
    assert done[:4] == ["setup-python", "make update", "make plan", "gh auth setup-git"]
    assert done[4:] == [
        f"gh pr create --head update-v2.0.0 --title {NEWER} --body-file reports/update.md"
    ]
    assert "v2.0.0" in git(runner.origin, "show", "update-v2.0.0:.copier-answers.yml")
    git(runner.root, "switch", "--quiet", "--force", "main")
    before = git(runner.origin, "show-ref")
    passed, done = runner.run("update-template", "schedule")  # A week later, nobody has merged it.
    assert (passed, done[3:]) == (True, ["gh auth setup-git"])
    assert git(runner.origin, "show-ref") == before


def test_without_a_newer_template_nothing_is_proposed(runner: Runner) -> None:
    passed, done = runner.run("update-template", "schedule", "--env=FRESH=yes")
    assert (passed, done) == (True, ["setup-python", "make update", "make plan"])


def test_an_update_that_needs_a_person_is_told(runner: Runner) -> None:
    passed, done = runner.run("update-template", "schedule", broken="update")
    assert (passed, done[:2]) == (False, ["setup-python", "make update"])
    assert [line.split(" --body")[0] for line in done[2:]] == [
        "gh issue list --search The newest template must be taken by hand in:title",
        "gh issue create --title The newest template must be taken by hand",
    ]
