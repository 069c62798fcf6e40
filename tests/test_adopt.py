"""`scaffold adopt`: a repository with a life of its own, and what it lacks on a branch."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
import yaml

from conftest import CLI, Scaffold, commit_all, contents, git
from updating import TEN, Typed, at_rest, edit, kinds, release

MINE = {
    "ten.txt": "mine\n",  # The template has another of that name, ...
    "Gone.txt": "mine, and spelled otherwise\n",
    "picture.bin": b"\0old",  # ... or the same, ...
    "slo.yaml": "peak_rps: 777\n",  # ... which no update touches.
    "src/churn/model.py": "MINE = True\n",
}


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A repository of somebody who never heard of us."""
    root = tmp_path / "Churn.Model"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=trunk")
    edit(root, MINE)
    return root


def adopted(typed: Typed, demo: Path, origin: Path, *options: str) -> dict[str, object]:
    """Adopt without a word, and demand that nothing moved."""
    before = at_rest(demo)
    code, said, complaint = typed(
        "adopt", str(demo), "--defaults", "--json", "--template", str(origin), *options
    )
    assert (code, complaint) == (0, "")
    assert at_rest(demo) == before
    return dict(json.loads(said))


def test_a_branch_adds_what_is_lacking_and_touches_nothing(
    demo: Path, origin: Path, typed: Typed
) -> None:
    mine, parent = contents(demo), git(demo, "rev-parse", "HEAD").strip()
    found = adopted(typed, demo, origin, "--data", "peak_rps=80")
    assert found["kept"] == ["Gone.txt", "slo.yaml", "ten.txt"]
    assert found["notes"] == ["slo.yaml: makes no sense; mend it"]  # As the planner finds yours.
    assert git(demo, "rev-parse", "scaffold/adopt", "scaffold/adopt~1").split() == [
        found["commit"],
        parent,
    ]
    new = git(demo, "diff", "--name-status", "HEAD", "scaffold/adopt").splitlines()
    assert sorted(new) == [f"A\t{path}" for path in found["added"]]
    assert git(demo, "log", "-1", "--format=%an %s", "scaffold/adopt").startswith("Ada Adopt")
    assert TEN.strip() in git(demo, "show", "scaffold/template:ten.txt")

    git(demo, "merge", "--quiet", "--ff-only", "scaffold/adopt")
    assert contents(demo).items() >= mine.items()
    assert "moved.txt" in found["added"]
    assert "gone.txt" not in contents(demo)
    answers = yaml.safe_load((demo / ".copier-answers.yml").read_text())
    assert (answers["peak_rps"], answers["_commit"]) == (80, "v1.0.0")
    assert (answers["project_name"], answers["source"]) == ("churn-model", "files")


def test_updates_and_diffs_work_from_then_on(demo: Path, origin: Path, typed: Typed) -> None:
    adopted(typed, demo, origin)
    git(demo, "merge", "--quiet", "scaffold/adopt")
    _, said, _ = typed("diff", str(demo), "--json")
    edits = {each["path"]: each["kind"] for each in json.loads(said)["edits"]}
    assert (edits["ten.txt"], edits["slo.yaml"]) == ("edited", "seeded")
    assert (edits["src/churn/model.py"], edits["Gone.txt"]) == ("added", "added")
    release(origin, {"moved.txt": "renewed\n", "new.txt": "new\n"})
    code, said, _ = typed("update", str(demo), "--yes", "--json")
    assert (code, kinds(said)["moved.txt"]) == (0, "updated")
    assert (demo / "new.txt").read_text() == "new\n"
    assert (demo / "ten.txt").read_text() == "mine\n"


def test_a_template_without_a_history_says_that_no_update_will_come(
    demo: Path, origin: Path, typed: Typed
) -> None:
    shutil.rmtree(origin / ".git")
    notes = adopted(typed, demo, origin)["notes"]
    assert "this template has no history, so no update; name its repository: --template" in notes


def test_what_is_said_names_what_to_join_and_how(demo: Path, origin: Path, typed: Typed) -> None:
    edit(demo, {"makefile": "test:\n\techo mine\n"})
    (origin / "template/project/Makefile").write_text("test:\n\techo ours\n")
    commit_all(origin)
    git(origin, "tag", "--force", "v1.0.0")
    code, said, _ = typed("adopt", str(demo), "--yes", "--template", str(origin))
    assert code == 0
    assert "  makefile: its verbs run everything\n" in said
    commands = [line.split(":", 1)[1] for line in said.splitlines()[-4:]]
    for command in commands:  # Each can be typed as it stands.
        git(demo, *command.split()[1:])
    assert (demo / "moved.txt").exists()
    assert git(demo, "branch", "--list", "scaffold/*") == ""


def prepared(way: str, demo: Path, tmp_path: Path) -> Path:
    """Bring the repository into a state that stands in the way; return what is to be adopted."""
    if way == "dirty":
        (demo / "ten.txt").write_text("not committed\n")
    elif way == "untracked":
        (demo / "moved.txt").write_text("not tracked\n")
    elif way == "adopted":
        edit(demo, {".copier-answers.yml": "_commit: v1\n"})
    elif way == "branch":
        git(demo, "branch", "scaffold/adopt")
    elif way == "above":
        git(demo, "branch", "scaffold")
    elif way == "folder":
        edit(demo, {"moved.txt/mine": "x"})
    elif way == "file":
        shutil.rmtree(demo / "src")
        edit(demo, {"src": "mine\n"})
    elif way == "unborn":
        shutil.rmtree(demo / ".git")
        git(demo, "init", "--quiet")
    elif way == "bare":
        git(tmp_path, "clone", "--quiet", "--bare", str(demo), "bare")
    inside = {"inside": demo / "src", "none": tmp_path, "bare": tmp_path / "bare"}
    return {**inside, "nowhere": demo / "nowhere"}.get(way, demo)


REFUSED = [
    ("dirty", "ten.txt: not committed; commit or stash first"),
    ("untracked", "moved.txt: we would write it, and git does not track yours"),
    ("adopted", "has a .copier-answers.yml: it is under a template; see scaffold diff"),
    ("branch", "branch scaffold/adopt: is there already; merge or rename it"),
    ("above", "branch scaffold: is there already"),
    ("folder", "moved.txt: is a file on one side and a folder or a link on the other; move or"),
    ("file", "src: is a file on one side"),
    ("unborn", "is not in a repository with a commit; commit it first"),
    ("bare", "is not in a repository with a commit"),
    ("none", "is not in a repository with a commit"),
    ("nowhere", "is no folder; name the root of a repository"),
    ("inside", "name its root, or make this a repository of its own"),
]


@pytest.mark.parametrize(("way", "line"), REFUSED, ids=[way for way, _ in REFUSED])
def test_what_cannot_be_adopted_is_one_line(
    way: str, line: str, demo: Path, origin: Path, typed: Typed, tmp_path: Path
) -> None:
    root = prepared(way, demo, tmp_path)
    before, branches = contents(demo), git(demo, "branch", "--list")
    code, _, said = typed("adopt", str(root), "--defaults", "--template", str(origin))
    assert (code, len(said.splitlines())) == (2, 1), said
    assert line in said
    assert (contents(demo), git(demo, "branch", "--list")) == (before, branches)


def test_infeasible_promises_and_nobody_there_make_no_branch(
    demo: Path, origin: Path, scaffold: Scaffold
) -> None:
    options = ("adopt", str(demo), "--template", str(origin))
    infeasible = scaffold(*options, "--yes", "--data", "peak_rps=2000")
    assert (infeasible.returncode, scaffold(*options).returncode) == (1, 2)
    assert "peak_rps: too many; lower peak_rps to 1000" in infeasible.stderr
    assert git(demo, "branch", "--list").split() == ["*", "trunk"]


@pytest.mark.slow
def test_killed_at_any_call_of_git_nothing_moves_and_it_can_be_said_again(
    demo: Path, origin: Path, typed: Typed, killed: Callable[..., bool]
) -> None:
    before, calls = at_rest(demo), 1
    while killed(str(calls), f"--defaults --template {origin}", "adopt"):
        calls += 1
        assert at_rest(demo) == before
        made = git(demo, "branch", "--list", "scaffold/*").split()
        assert made in ([], ["scaffold/adopt", "scaffold/template"])
        if made:
            git(demo, "branch", "-D", *made)
        assert len(git(demo, "worktree", "list").splitlines()) == 1
    assert calls > 10
    git(demo, "fsck", "--strict")
    git(demo, "branch", "-D", "scaffold/adopt", "scaffold/template")
    adopted(typed, demo, origin)


@pytest.mark.parametrize(
    ("options", "seen", "keys", "code"),
    [([], "churn-model", "\x03", 130), (["--defaults"], "Leave", "\x1b[A\r", 1)],
    ids=["asked", "shown"],
)
def test_in_a_terminal_it_is_asked_and_shown_and_may_be_left(
    options: list[str], seen: str, keys: str, code: int, demo: Path, origin: Path
) -> None:
    before = at_rest(demo)
    shell = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    child = pexpect.spawn(
        CLI[0],
        [*CLI[1:], "adopt", "--template", str(origin), *options],
        cwd=str(demo),
        env=shell,
        dimensions=(50, 120),
        encoding="utf-8",
        timeout=60,
    )
    if not options:
        child.expect_exact("What kind of model")
        child.send("\r")
    child.expect_exact("What now?" if options else "Name of the project")
    child.expect_exact(seen)
    child.send(keys)  # Up from the first goes round to the last.
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code
    assert at_rest(demo) == before
    assert git(demo, "branch", "--list").split() == ["*", "trunk"]
