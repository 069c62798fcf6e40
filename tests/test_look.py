"""`scaffold diff` and `scaffold status`: what was changed, and how many projects stand."""

import json
import shutil
from pathlib import Path

import pytest

from conftest import git
from updating import OURS, TEN, Typed, at_rest, edit, release


def test_diff_tells_ours_that_was_edited_from_yours(demo: Path, typed: Typed) -> None:
    before = at_rest(demo)
    assert json.loads(typed("diff", "demo", "--json")[1])["edits"] == []
    edit(demo, {OURS: '"""Mine."""\n', "gone.txt": None, "own.txt": "own\n"})
    (demo / "slo.yaml").write_text("mine: 1\n")  # Not committed, and not hidden either.
    (demo / "stray.txt").write_text("git does not track it\n")
    rest = at_rest(demo)
    code, said, _ = typed("diff", "demo", "--json")
    found = {each["path"]: each["kind"] for each in json.loads(said)["edits"]}
    assert code == 0
    assert found == {
        OURS: "edited",
        "gone.txt": "deleted",
        "own.txt": "added",
        "slo.yaml": "seeded",
    }
    assert at_rest(demo) == rest != before
    shown = typed("diff", "demo")[1]
    assert "demo beside v1.0.0 of its template" in shown
    assert f"Ours, edited by you: each update merges it (1)\n  {OURS}\n" in shown


def test_diff_shows_the_lines_of_what_is_ours(demo: Path, typed: Typed) -> None:
    edit(demo, {"ten.txt": TEN.replace("line 2\n", "mine\n"), "own.txt": "own\n"})
    said = typed("diff", "demo", "--patch")[1]
    assert "-line 2\n+mine\n" in said
    assert "own.txt" not in said


def test_diff_looks_at_one_project_of_a_larger_repository(
    demo: Path, typed: Typed, tmp_path: Path
) -> None:
    mono = tmp_path / "mono"
    shutil.copytree(demo, mono / "services/late", ignore=shutil.ignore_patterns(".git"))
    git(mono, "init", "--quiet")
    edit(mono, {"services/late/ten.txt": "mine\n", "other.txt": "other\n"})
    _, said, _ = typed("diff", str(mono / "services/late"), "--json")
    assert json.loads(said)["edits"] == [{"kind": "edited", "path": "ten.txt"}]


@pytest.fixture
def many(origin: Path, demo: Path, tmp_path: Path) -> Path:
    """Three projects of version 1.0.0, of which one was edited where 1.1.0 changes a line."""
    root = tmp_path / "many"
    for name in ("plain", "edited", "lost"):
        git(tmp_path, "clone", "--quiet", str(demo), str(root / name))
    edit(root / "edited", {"ten.txt": TEN.replace("line 2\n", "mine\n")})
    answers = (root / "lost/.copier-answers.yml").read_text().replace(str(origin), "/nowhere")
    edit(root / "lost", {".copier-answers.yml": answers})
    release(origin, {"ten.txt": TEN.replace("line 2\n", "theirs\n")})
    (root / "no-project").mkdir()
    return root


def test_status_says_how_each_project_stands(many: Path, typed: Typed) -> None:
    report = {"started": 1e9, "caught": 39, "apply": 40}
    (many / "plain/reports").mkdir()
    (many / "plain/reports/rehearsal.json").write_text(json.dumps(report))
    (many / "edited/slo.yaml").write_text("mine: 1\n")
    code, said, _ = typed("status", "many", "--json")
    edited, lost, plain = json.loads(said)
    assert code == 1  # One of them cannot be told.
    assert (plain["version"], plain["newest"], plain["behind"]) == ("v1.0.0", "v1.1.0", True)
    assert plain["rehearsed"] == "39 of 40, 2001-09-09"
    assert (edited["uncommitted"], plain["uncommitted"]) == (1, 0)
    assert "/nowhere: does not exist" in lost["problem"]
    assert "v1.1.0" in typed("status", "many/plain")[1]


def test_status_puts_updates_on_branches_and_touches_no_work_tree(many: Path, typed: Typed) -> None:
    before = {name: at_rest(many / name) for name in ("plain", "edited")}
    code, said, _ = typed("status", "many", "--branches", "--json")
    edited, _, plain = json.loads(said)
    assert code == 1
    assert {name: at_rest(many / name) for name in before} == before
    assert plain["branch"] == "scaffold-v1.1.0"
    assert "theirs" in git(many / "plain", "show", f"{plain['branch']}:ten.txt")
    assert len(git(many / "plain", "worktree", "list").splitlines()) == 1
    assert "has conflicts; scaffold update" in edited["problem"]
    assert git(many / "edited", "branch", "--list", "scaffold*") == ""


def test_where_no_project_is_one_line_says_so(many: Path, typed: Typed) -> None:
    code, _, said = typed("status", str(many / "no-project"))
    assert (code, len(said.splitlines())) == (2, 1)
    assert "no project is there; name folders" in said
