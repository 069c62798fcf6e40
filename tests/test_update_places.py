"""Where a project may lie, in what state, and where its template may: what an update does there."""

import json
import os
import shutil
from pathlib import Path

import pytest

from conftest import commit_all, git
from scaffold import pending
from scaffold.repository import Repository
from updating import TEN, Typed, at_rest, edit, kinds, refused, release


def test_a_dirty_project_is_refused_and_a_stray_file_is_not_written_over(
    origin: Path, demo: Path, typed: Typed
) -> None:
    release(origin, {"new.txt": "new\n", "run/log": "new\n"})
    (demo / "ten.txt").write_text("mine\n")
    assert "ten.txt: not committed; commit or stash first" in refused(typed, demo)
    code, said, _ = typed("update", "demo", "--dry-run")  # To look is always allowed.
    assert (code, "new.txt" in said) == (0, True)
    git(demo, "checkout", "--quiet", "ten.txt")
    (demo / "stray.txt").write_text("mine\n")
    (demo / "new.txt").write_text("mine\n")
    assert "new.txt: we would write it" in refused(typed, demo)
    (demo / "new.txt").unlink()
    (demo / ".git/info/exclude").write_text("run\n")  # What git ignores is not lost either.
    (demo / "run").write_text("mine\n")
    assert "run: we would write below it" in refused(typed, demo)
    (demo / "run").unlink()
    assert typed("update", "demo", "--yes")[0] == 0
    assert (demo / "stray.txt").read_text() == "mine\n"
    assert "not committed; commit it, or take it back" in typed("update", "demo", "--yes")[2]


def test_a_locked_index_is_refused(origin: Path, demo: Path, typed: Typed) -> None:
    release(origin, {"new.txt": "new\n"})
    (demo / ".git/index.lock").touch()
    assert "another git is at work, or was killed" in refused(typed, demo)


def test_two_updates_at_once_do_not_meet(origin: Path, demo: Path, typed: Typed) -> None:
    release(origin, {"new.txt": "new\n"})
    with pending.locked(Repository.around(demo)):
        assert "another update of it is at work; let it end" in refused(typed, demo)
    assert typed("update", "demo", "--yes")[0] == 0


def test_a_detached_head_is_as_good_as_a_branch(origin: Path, demo: Path, typed: Typed) -> None:
    release(origin, {"new.txt": "new\n"})
    git(demo, "checkout", "--quiet", "--detach")
    code, said, _ = typed("update", "demo", "--yes")
    assert (code, (demo / "new.txt").exists()) == (0, True)
    assert "on no branch" in said


def test_submodules_stay_as_they_are(
    origin: Path, demo: Path, typed: Typed, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "--quiet")
    edit(library, {"code.txt": "one\n"})
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    git(demo, *add, str(library), "lib")
    commit_all(demo)
    (demo / "lib/code.txt").write_text("mine, not committed\n")
    mine = TEN.replace("line 2\n", "mine\n")
    edit(demo, {"ten.txt": mine})
    release(origin, {"new.txt": "new\n", "ten.txt": TEN.replace("line 2\n", "theirs\n")})
    assert typed("update", "demo", "--yes")[0] == 2
    (demo / ".git/scaffold-update/demo/ten.txt").write_text(mine)
    code, _, said = typed("update", "demo", "--finish")
    assert code == 0, said
    assert (demo / "lib/code.txt").read_text() == "mine, not committed\n"
    assert "lib" not in git(demo, "diff", "--cached", "--name-only").split()

    outer = tmp_path / "outer"  # And a project that is a submodule itself.
    git(demo, "reset", "--quiet", "--hard")
    outer.mkdir()
    git(outer, "init", "--quiet")
    git(outer, *add, str(demo), "inner")
    commit_all(outer)
    inner = outer / "inner"
    assert typed("update", str(inner), "--yes")[0] == 2
    assert (outer / ".git/modules/inner/scaffold-update/inner/ten.txt").exists()
    assert typed("update", str(inner), "--abort")[0] == 0
    edit(inner, {"ten.txt": TEN})
    assert typed("update", str(inner), "--yes")[0] == 0
    assert (inner / "new.txt").exists()


def test_a_linked_worktree_is_updated_alone(
    origin: Path, demo: Path, typed: Typed, tmp_path: Path
) -> None:
    release(origin, {"new.txt": "new\n", "ten.txt": TEN.replace("line 2\n", "theirs\n")})
    git(demo, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    side, before = tmp_path / "side", at_rest(demo)
    edit(side, {"ten.txt": TEN.replace("line 2\n", "mine\n")})
    code, said, _ = typed("update", "side", "--yes", "--json")
    assert code == 2
    (Path(json.loads(said)["folder"]) / "ten.txt").write_text("both\n")
    assert typed("update", "side", "--finish")[0] == 0
    assert ((side / "ten.txt").read_text(), (side / "new.txt").exists()) == ("both\n", True)
    assert at_rest(demo)[1:] == before[1:]
    assert len(git(demo, "worktree", "list").splitlines()) == 2


@pytest.mark.parametrize("both", [False, True], ids=["merge", "conflict"])
def test_a_folder_of_a_larger_repository_is_updated_alone(
    both: bool, origin: Path, demo: Path, typed: Typed, tmp_path: Path
) -> None:
    mono = tmp_path / "mono"
    shutil.copytree(demo, mono / "services/late", ignore=shutil.ignore_patterns(".git"))
    (mono / "other.txt").write_text("other\n")
    git(mono, "init", "--quiet")
    place = "services/late/"
    edit(mono, {place + "ten.txt": TEN.replace("line 2\n", "mine\n") if both else TEN + "mine\n"})
    release(origin, {"new.txt": "new\n", "ten.txt": TEN.replace("line 2\n", "theirs\n")})
    (mono / "other.txt").write_text("not committed\n")
    code, said, _ = typed("update", str(mono / place / "src"), "--yes", "--json")
    assert code == (2 if both else 0)
    assert kinds(said)["ten.txt"] == ("conflict" if both else "merged")
    if both:
        (Path(json.loads(said)["folder"]) / "ten.txt").write_text("both\n")
        assert typed("update", str(mono / place), "--finish")[0] == 0
    staged = git(mono, "diff", "--cached", "--name-only").split()
    assert sorted(staged) == [
        f"{place}{name}" for name in (".copier-answers.yml", "new.txt", "ten.txt")
    ]
    assert (mono / "other.txt").read_text() == "not committed\n"
    assert typed("update", str(mono / place), "--abort")[0] == 0
    assert git(mono, "status", "--porcelain") == " M other.txt\n"


@pytest.mark.parametrize("converted", [False, True], ids=["in the repository", "by git"])
def test_line_ends_stay_and_only_lines_are_merged(
    converted: bool, origin: Path, demo: Path, typed: Typed
) -> None:
    ends = {"core.autocrlf": "true" if converted else "false"}
    for key, value in ends.items():
        git(demo, "config", key, value)
    mine = TEN.replace("line 2\n", "mine\n").replace("\n", "\r\n").encode()
    edit(demo, {"ten.txt": mine, "gone.txt": TEN.replace("line", "gone").replace("\n", "\r\n")})
    release(origin, {"ten.txt": TEN + "line 11\n", "gone.txt": "new\n"})
    code, said, _ = typed("update", "demo", "--yes", "--json")
    assert code == 0, said
    assert (demo / "ten.txt").read_bytes() == mine + b"line 11\r\n"
    assert (demo / "gone.txt").read_bytes() == b"new\r\n"


def test_a_template_that_was_recorded_by_a_relative_path_is_found(
    origin: Path, demo: Path, typed: Typed
) -> None:
    answers = (demo / ".copier-answers.yml").read_text()
    edit(demo, {".copier-answers.yml": answers.replace(str(origin), "origin")})
    release(origin, {"new.txt": "new\n"})
    assert typed("update", "demo", "--yes")[0] == 0
    assert f"_src_path: {origin}\n" in (demo / ".copier-answers.yml").read_text()


def test_a_template_at_an_address_is_fetched_once(
    origin: Path, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPIER_CACHE_DIR", str(tmp_path / "cache"))
    address = f"git+file://{origin}"
    assert typed("new", "demo", "--yes", "--template", address)[0] == 0
    release(origin, {"new.txt": "new\n", "ten.txt": None})
    edit(tmp_path / "demo", {"ten.txt": TEN + "mine\n"})
    for _ in range(2):
        code, said, complaint = typed("update", "demo", "--yes", "--json")
        assert code == 0, complaint
        assert (kinds(said)["new.txt"], kinds(said)["ten.txt"]) == ("added", "asked")
        assert typed("update", "demo", "--abort")[0] == 0


def test_an_old_git_is_one_line(
    demo: Path, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin/git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho git version 2.34.1\n")
    fake.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
        said = typed("update", "demo", "--yes")[2]
    assert said == "scaffold: git: is 2.34; an update needs 2.38; install a newer one\n"


def test_a_template_that_cannot_be_had_is_one_line(
    origin: Path, demo: Path, typed: Typed, tmp_path: Path
) -> None:
    release(origin, {"new.txt": "new\n"})
    answers = (demo / ".copier-answers.yml").read_text()

    def recorded(before: str, after: str) -> str:
        edit(demo, {".copier-answers.yml": answers.replace(before, after)})
        return refused(typed, demo)

    assert "has no version v0.9.9; bring that tag" in recorded("v1.0.0", "v0.9.9")
    assert "has no version -h" in recorded("v1.0.0", "-h")
    assert "nowhere: does not exist; write there" in recorded(str(origin), "/nowhere")
    assert "git+file:///nowhere.git:" in recorded(str(origin), "git+file:///nowhere.git")
    assert "has no _commit; record there" in recorded("_commit: v1.0.0\n", "")
    assert "is not YAML" in recorded("_commit: v1.0.0", "<<<<<<< yours\n a: [")
    bare = tmp_path / "bare"
    shutil.copytree(origin, bare, ignore=shutil.ignore_patterns(".git"))
    assert "bare has no history; record the address" in recorded(str(origin), str(bare))
    edit(demo, {".copier-answers.yml": answers})
    assert "--ref v9" in refused(typed, demo, "--ref", "v9")
    assert typed("update", "demo", "--yes")[0] == 0
    commit_all(demo)
    assert "v1.1.0 is newer than v1.0.0; name" in refused(typed, demo, "--ref", "v1.0.0")


def test_what_is_no_project_is_one_line(demo: Path, typed: Typed, tmp_path: Path) -> None:
    def said(*options: str) -> str:
        code, _, complaint = typed("update", *options)
        assert (code, len(complaint.splitlines())) == (2, 1)
        return complaint

    assert "no .copier-answers.yml here or above" in said(str(tmp_path), "--yes")
    assert "nobody is there to answer; use --dry-run" in said("demo")
    assert "--abort: goes with no other option" in said("demo", "--abort", "--finish")
    assert "--finish: goes with no other option" in said("demo", "--finish", "--dry-run")
    shutil.move(demo / ".git", tmp_path / "history")
    assert "is not in a repository with a commit; commit it first" in said("demo", "--yes")
    git(demo, "init", "--quiet")
    assert "is not in a repository with a commit; commit it first" in said("demo", "--yes")
    edit(demo, {".gitignore": ".copier-answers.yml\n"})
    assert ".copier-answers.yml: is not committed" in said("demo", "--yes")
