"""`scaffold update` as its user sees it, on repositories with a history and edits of their own."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
import yaml
from copier import run_update

from conftest import CLI, ROOT, Scaffold, commit_all, contents, git
from scaffold.cli import main

OURS = "src/late_flights/production/__init__.py"
TEN = "".join(f"line {number}\n" for number in range(1, 11))


@pytest.fixture
def origin(toy: Path, tmp_path: Path) -> Path:
    """A template of version 1.0.0 with some more files to merge."""
    root = tmp_path / "origin"
    shutil.copytree(toy, root)
    project = root / "template/project"
    (project / "ten.txt").write_text(TEN)
    (project / "gone.txt").write_text(TEN.replace("line", "gone"))
    (project / "moved.txt").write_text(TEN.replace("line", "moved"))
    (project / "picture.bin").write_bytes(b"\0old")
    commit_all(root)
    git(root, "tag", "--force", "v1.0.0")
    return root


@pytest.fixture
def demo(origin: Path, scaffold: Scaffold, tmp_path: Path) -> Path:
    """A project of version 1.0.0."""
    done = scaffold("new", "demo", "--yes", "--template", str(origin))
    assert done.returncode == 0, done.stderr
    return tmp_path / "demo"


def release(origin: Path, changes: dict[str, str | bytes | None], tag: str = "v1.1.0") -> None:
    """Make a new version of the template; None deletes a file."""
    for path, text in changes.items():
        file = origin / "template/project" / path.replace("late_flights", "{{ package_name }}")
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
    commit_all(origin)
    git(origin, "tag", tag)


def edit(demo: Path, changes: dict[str, str | bytes | None]) -> None:
    """Change a project and commit."""
    for path, text in changes.items():
        if text is None:
            (demo / path).unlink()
        else:
            (demo / path).parent.mkdir(parents=True, exist_ok=True)
            (demo / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    commit_all(demo)


def kinds(said: str) -> dict[str, str]:
    """What a JSON answer says of each file."""
    return {change["path"]: change["kind"] for change in json.loads(said)["changes"]}


def at_rest(demo: Path) -> tuple[str, str, dict[str, bytes]]:
    """All that an update must not change before it is applied."""
    return git(demo, "rev-parse", "HEAD"), git(demo, "status", "--porcelain"), contents(demo)


def test_edits_are_merged_line_by_line_and_nothing_moves_before_it_is_applied(
    origin: Path, demo: Path, scaffold: Scaffold
) -> None:
    edit(demo, {"ten.txt": TEN.replace("line 2\n", "mine\n"), "own.txt": "own\n"})
    release(origin, {"ten.txt": TEN + "line 11\n", OURS: '"""Renewed."""\n', "new.txt": "new\n"})
    before = at_rest(demo)
    looked = scaffold("update", "demo", "--dry-run", "--json")
    assert looked.returncode == 0, looked.stderr
    said = kinds(looked.stdout)
    assert {said[path] for path in ("slo.yaml", "src/late_flights/ingest.py")} == {"seeded"}
    assert (said["ten.txt"], said[OURS], said["new.txt"]) == ("merged", "updated", "added")
    assert at_rest(demo) == before

    done = scaffold("update", "demo", "--yes")
    assert done.returncode == 0, done.stderr
    assert "v1.0.0 -> v1.1.0" in done.stdout
    assert (demo / "ten.txt").read_text() == TEN.replace("line 2\n", "mine\n") + "line 11\n"
    assert (demo / OURS).read_text() == '"""Renewed."""\n'
    assert (demo / "own.txt").read_text() == "own\n"
    assert "_commit: v1.1.0" in (demo / ".copier-answers.yml").read_text()
    staged = git(demo, "diff", "--cached", "--name-only").split()
    assert sorted(staged) == sorted(["ten.txt", OURS, "new.txt", ".copier-answers.yml"])
    assert git(demo, "rev-parse", "HEAD").strip() == before[0].strip()

    git(demo, "commit", "--quiet", "--message", "update")
    again = scaffold("update", "demo", "--yes")
    assert again.returncode == 0
    assert "Nothing to do" in again.stdout
    assert not (demo / ".git/scaffold-update").exists()


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Type a command in this process (there are many): its exit code, answer and complaint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["scaffold", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def refused(typed: Typed, demo: Path, *options: str, code: int = 2) -> str:
    """Demand one line, an exit code, and a project in which nothing moved."""
    before = at_rest(demo)
    left, _, said = typed("update", str(demo), "--yes", *options)
    assert (left, len(said.splitlines())) == (code, 1), said
    assert said.startswith("scaffold: ")
    assert at_rest(demo) == before
    assert not list(demo.glob(".git/scaffold-update/*"))
    return said


@pytest.fixture
def conflict(origin: Path, demo: Path) -> Path:
    """A project whose second and ninth line both sides have changed."""
    mine = TEN.replace("line 2\n", "mine 2\n").replace("line 9\n", "mine 9\n")
    edit(demo, {"ten.txt": mine})
    theirs = TEN.replace("line 2\n", "theirs 2\n").replace("line 9\n", "theirs 9\n")
    release(origin, {"ten.txt": theirs, "new.txt": "new\n"})
    return demo


def test_conflicts_are_listed_and_wait_beside_the_users_files(conflict: Path, typed: Typed) -> None:
    before = at_rest(conflict)
    code, said, _ = typed("update", "demo", "--dry-run")
    assert code == 2
    assert "  ten.txt:2\n  ten.txt:13\n" in said
    code, said, _ = typed("update", "demo", "--yes")
    folder = conflict / ".git/scaffold-update/demo"
    assert code == 2
    assert f"  {folder}/ten.txt:2\n" in said
    assert at_rest(conflict) == before
    assert "UU ten.txt" in git(folder, "status", "--porcelain")
    marked = (folder / "ten.txt").read_text()
    assert "<<<<<<< yours\nmine 2\n=======\ntheirs 2\n>>>>>>> template v1.1.0\n" in marked

    assert "waits for its conflicts" in typed("update", "demo", "--yes")[2]
    code, said, _ = typed("update", "demo", "--finish")
    assert (code, at_rest(conflict)) == (2, before)
    assert f"  {folder}/ten.txt:13\n" in said
    (folder / "ten.txt").write_text(TEN.replace("line 2\n", "both 2\n"))
    code, _, said = typed("update", "demo", "--finish")
    assert code == 0, said
    assert (conflict / "ten.txt").read_text() == TEN.replace("line 2\n", "both 2\n")
    assert (conflict / "new.txt").exists()
    assert "<<<<<<<" not in git(conflict, "diff", "--cached")
    assert len(git(conflict, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("resolved", [False, True])
def test_abort_takes_back_an_update_that_waits_or_was_applied(
    resolved: bool, conflict: Path, typed: Typed
) -> None:
    before = at_rest(conflict)
    typed("update", "demo", "--yes")
    if resolved:
        (conflict / ".git/scaffold-update/demo/ten.txt").write_text("both\n")
        assert typed("update", "demo", "--finish")[0] == 0
        assert at_rest(conflict) != before
    code, said, _ = typed("update", "demo", "--abort")
    assert code == 0
    assert "Taken back" in said
    assert at_rest(conflict) == before
    assert len(git(conflict, "worktree", "list").splitlines()) == 1
    assert "no update is on its way" in typed("update", "demo", "--abort")[2]


def test_abort_goes_back_from_an_unstaged_update_but_not_over_later_edits(
    origin: Path, demo: Path, typed: Typed
) -> None:
    release(origin, {"ten.txt": "ten\n", "deep/new.txt": "new\n", "gone.txt": None})
    before = at_rest(demo)
    assert typed("update", "demo", "--yes")[0] == 0
    git(demo, "reset", "--quiet")
    (demo / "ten.txt").write_text("later\n")
    said = typed("update", "demo", "--abort")[2]
    assert "ten.txt: you changed it after the update; copy what you need" in said
    git(demo, *said.strip().rpartition("git ")[2].split())
    assert typed("update", "demo", "--abort")[0] == 0
    assert at_rest(demo) == before
    assert not (demo / "deep").exists()


def test_a_resolution_survives_a_tree_that_became_dirty(conflict: Path, typed: Typed) -> None:
    typed("update", "demo", "--yes")
    folder = conflict / ".git/scaffold-update/demo"
    (folder / "ten.txt").write_text("both\n")
    (conflict / "slo.yaml").write_text("mine: 1\n")
    assert "slo.yaml: not committed" in typed("update", "demo", "--finish")[2]
    git(conflict, "checkout", "--quiet", "slo.yaml")
    (conflict / "new.txt").write_text("not yours\n")
    assert "new.txt: the update would write it" in typed("update", "demo", "--finish")[2]
    (conflict / "new.txt").unlink()
    commit_all(conflict, "meanwhile")
    assert "the branch has moved" in typed("update", "demo", "--finish")[2]
    git(conflict, "reset", "--quiet", "--soft", "HEAD~1")
    assert (folder / "ten.txt").read_text() == "both\n"
    assert typed("update", "demo", "--finish")[0] == 0


def test_edits_survive_what_the_template_renames_and_deletes(
    origin: Path, demo: Path, typed: Typed
) -> None:
    gone = TEN.replace("line", "gone") + "mine\n"
    moved = TEN.replace("line", "moved")
    edit(demo, {"moved.txt": moved + "mine\n", "gone.txt": gone, "ten.txt": None})
    edit(demo, {"picture.bin": b"\0mine"})
    changes = {"moved.txt": None, "there.txt": "theirs\n" + moved, "gone.txt": None}
    release(origin, {**changes, "ten.txt": TEN + "theirs\n", "picture.bin": b"\0theirs"})
    code, said, _ = typed("update", "demo", "--yes", "--json")
    assert code == 0, said
    found = kinds(said)
    assert found["there.txt"] == "renamed"
    assert (found["gone.txt"], found["picture.bin"]) == ("asked", "asked")
    assert found["ten.txt"] == "kept_deleted"
    assert (demo / "there.txt").read_text() == "theirs\n" + moved + "mine\n"
    assert (demo / "gone.txt").read_text() == gone
    assert (demo / "picture.bin").read_bytes() == b"\0mine"
    assert not (demo / "moved.txt").exists()
    assert not (demo / "ten.txt").exists()


def test_what_was_not_edited_follows_the_template(origin: Path, demo: Path, typed: Typed) -> None:
    git(demo, "mv", "ten.txt", "mine.txt")
    commit_all(demo)
    theirs = {"gone.txt": None, "ten.txt": TEN + "more\n", "picture.bin": b"\0theirs"}
    release(origin, theirs)
    code, said, _ = typed("update", "demo", "--yes", "--json")
    assert (code, kinds(said)["gone.txt"]) == (0, "deleted")
    assert not (demo / "gone.txt").exists()
    assert (demo / "mine.txt").read_text() == TEN + "more\n"  # His name, our lines.
    assert (demo / "picture.bin").read_bytes() == b"\0theirs"


def test_a_folder_where_a_file_was_is_refused(origin: Path, demo: Path, typed: Typed) -> None:
    edit(demo, {"late/mine.txt": "mine\n"})
    release(origin, {"late": "a file\n"})
    assert "a file on one side and a folder" in refused(typed, demo)


def test_seeded_files_are_left_alone_and_new_ones_are_planted(
    origin: Path, demo: Path, typed: Typed
) -> None:
    slo = (origin / "template/project/slo.yaml.jinja").read_text()
    release(origin, {"slo.yaml.jinja": slo + "extra: 1\n", "docs/card.yaml": "card: 1\n"})
    before = (demo / "slo.yaml").read_text()
    code, said, _ = typed("update", "demo", "--yes")
    assert code == 0, said
    assert (demo / "slo.yaml").read_text() == before
    assert (demo / "docs/card.yaml").read_text() == "card: 1\n"
    words = next(line for line in said.splitlines() if "slo.yaml" in line).partition("git diff ")
    assert "+extra: 1" in git(demo, "diff", *words[2].split())


def test_an_answer_can_be_changed_later(origin: Path, demo: Path, typed: Typed) -> None:
    edit(demo, {"slo.yaml": (demo / "slo.yaml").read_text() + "# mine\n"})
    release(origin, {OURS: '"""Renewed."""\n'})
    for options in ([], ["--ref", "v1.0.0"]):  # With another version, and with the same.
        data = ["--data", "peak_rps=80", *options]
        code, said, complaint = typed("update", "demo", "--yes", "--json", *data)
        assert code == 0, complaint
        assert kinds(said)["slo.yaml"] == "merged"
        text = (demo / "slo.yaml").read_text()
        assert text.startswith("peak_rps: 80\n")
        assert text.endswith("# mine\n")
        assert "peak_rps: 80\n" in (demo / ".copier-answers.yml").read_text()
        typed("update", "demo", "--abort")
    said = typed("update", "demo", "--yes", "--data", "peak_rps=2000")[2]
    assert "too many; lower peak_rps" in said
    assert "did you mean peak_rps?" in refused(typed, demo, "--data", "peak_rsp=80")
    assert "must be from 1" in refused(typed, demo, "--data", "peak_rps=0")


def test_a_feature_that_is_turned_off_takes_no_edit_with_it(
    origin: Path, typed: Typed, tmp_path: Path
) -> None:
    for name in ("edited", "plain"):
        path = "{% if source == 'sample' %}" + name + ".txt{% endif %}"
        (origin / "template/project" / path).write_text(TEN)
    commit_all(origin)
    git(origin, "tag", "--force", "v1.0.0")
    typed("new", "demo", "--yes", "--template", str(origin))
    demo = tmp_path / "demo"
    edit(demo, {"edited.txt": TEN + "mine\n"})
    code, said, _ = typed("update", "demo", "--yes", "--json", "--data", "source=files")
    assert code == 0
    assert (kinds(said)["edited.txt"], kinds(said)["plain.txt"]) == ("asked", "deleted")
    assert (demo / "edited.txt").read_text() == TEN + "mine\n"
    assert not (demo / "plain.txt").exists()


def test_a_renamed_project_moves_with_its_edits(origin: Path, demo: Path, typed: Typed) -> None:
    code = "def ingest():\n    return 'mine'\n"
    lines = "".join(f"# {number}\n" for number in range(20))
    release(origin, {"src/late_flights/ingest.py": lines})
    assert typed("update", "demo", "--yes")[0] == 0
    edit(demo, {"src/late_flights/ingest.py": lines + code})
    done = typed("update", "demo", "--yes", "--json", "--data", "project_name=other")
    assert done[0] == 0, done
    assert (demo / "src/other/ingest.py").read_text() == lines + code
    assert not (demo / "src/late_flights").exists()


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
    assert "new.txt: the update would write it" in refused(typed, demo)
    (demo / "new.txt").unlink()
    (demo / ".git/info/exclude").write_text("run\n")  # What git ignores is not lost either.
    (demo / "run").write_text("mine\n")
    assert "run: the update would write below it" in refused(typed, demo)
    (demo / "run").unlink()
    assert typed("update", "demo", "--yes")[0] == 0
    assert (demo / "stray.txt").read_text() == "mine\n"
    assert "not committed; commit it, or take it back" in typed("update", "demo", "--yes")[2]


def test_a_locked_index_is_refused(origin: Path, demo: Path, typed: Typed) -> None:
    release(origin, {"new.txt": "new\n"})
    (demo / ".git/index.lock").touch()
    assert "another git is at work, or was killed" in refused(typed, demo)


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


KILLER = """\
#!/bin/sh
# The git of a machine on which the command is killed after its n-th call of git in the project.
case "$PWD/" in {demo}/*) echo >> {count};; *) exec {git} "$@";; esac
case "$KILL_AT $*" in
  writing*read-tree\\ -m*) touch .git/index.lock; echo half > ten.txt; echo half > new.txt;;
  writing*) exec {git} "$@";;
  *) if [ "$(wc -l < {count})" -ne "$KILL_AT" ]; then exec {git} "$@"; fi; {git} "$@";;
esac
kill -9 $PPID
"""


@pytest.fixture
def killed(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Run the update and kill it with SIGKILL at a call of git; say if it was alive by then."""
    count, fake = tmp_path / "count", tmp_path / "bin/git"
    fake.parent.mkdir()
    fake.write_text(KILLER.format(count=count, git=shutil.which("git"), demo=demo))
    fake.chmod(0o755)

    def run(at: str, way: str = "--yes") -> bool:
        count.write_text("")
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException), Path(os.devnull).open("w") as silent:
                os.environ |= {"KILL_AT": at, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
                os.dup2(silent.fileno(), 1)
                os.dup2(silent.fileno(), 2)
                sys.argv = ["scaffold", "update", str(demo), way]
                main()
            os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    return run


@pytest.mark.slow
@pytest.mark.parametrize("both", [False, True], ids=["merge", "conflict"])
def test_killed_at_any_call_of_git_the_tree_is_as_before_or_as_meant(
    both: bool, origin: Path, demo: Path, typed: Typed, killed: Callable[..., bool]
) -> None:
    edit(demo, {"ten.txt": TEN.replace("line 2\n", "mine\n") if both else TEN + "mine\n"})
    release(origin, {"ten.txt": TEN.replace("line 2\n", "theirs\n"), "new.txt": "new\n"})
    before, calls, applied = at_rest(demo), 1, 0
    while killed(str(calls)):
        calls += 1
        if at_rest(demo) != before:  # Then all of it was written: never a part.
            applied += 1
            assert "theirs\n" in (demo / "ten.txt").read_text()
            assert (demo / "new.txt").read_text() == "new\n"
            assert "not committed" in typed("update", "demo", "--yes")[2]
        code, _, said = typed("update", "demo", "--abort")
        assert code == 0 or "no update is on its way" in said
        assert at_rest(demo) == before
        assert not (demo / ".git/scaffold-update").exists()
        assert len(git(demo, "worktree", "list").splitlines()) == 1
    assert calls > 15
    assert (applied > 0) != both
    typed("update", "demo", "--abort")
    assert typed("update", "demo", "--yes")[0] == (2 if both else 0)


def test_killed_while_it_finishes_no_resolution_is_lost(
    conflict: Path, typed: Typed, killed: Callable[..., bool]
) -> None:
    before, calls = at_rest(conflict), 1
    typed("update", "demo", "--yes")
    (conflict / ".git/scaffold-update/demo/ten.txt").write_text("both\n")
    while at_rest(conflict) == before:
        assert killed(str(calls), "--finish")
        calls += 1
    assert typed("update", "demo", "--finish")[0] == 0
    assert (conflict / "ten.txt").read_text() == "both\n"
    assert (conflict / "new.txt").exists()


@pytest.mark.parametrize("way_out", ["--finish", "--abort"])
def test_when_git_itself_is_killed_half_way_both_ends_can_be_reached(
    way_out: str, origin: Path, demo: Path, typed: Typed, killed: Callable[..., bool]
) -> None:
    release(origin, {"ten.txt": TEN + "theirs\n", "new.txt": "new\n", "gone.txt": None})
    before = at_rest(demo)
    assert killed("writing")
    assert (demo / "ten.txt").read_text() == "half\n"
    assert "--finish completes it, " in typed("update", "demo", "--yes")[2]
    assert "index.lock: another git" in typed("update", "demo", way_out)[2]
    (demo / ".git/index.lock").unlink()
    code, _, said = typed("update", "demo", way_out)
    assert code == 0, said
    if way_out == "--abort":
        assert at_rest(demo) == before
        return
    assert (demo / "ten.txt").read_text() == TEN + "theirs\n"
    assert (demo / "new.txt").read_text() == "new\n"
    assert not (demo / "gone.txt").exists()
    assert git(demo, "diff", "--name-only") == ""


def test_a_migration_moves_the_users_edits_with_the_file(
    origin: Path, demo: Path, typed: Typed
) -> None:
    edit(demo, {"ten.txt": TEN + "mine\n"})
    (origin / "hooks/migrations").mkdir(parents=True)
    (origin / "hooks/migrations/1.1.0.sh").write_text(
        "test ! -f ten.txt || git mv ten.txt it.txt\n"
    )
    with (origin / "copier.yml").open("a") as file:
        file.write(MIGRATION)
    new = "".join(f"another {number}\n" for number in range(10))  # Git sees no rename here.
    release(origin, {"ten.txt": None, "it.txt": new + TEN})
    for _ in range(2):
        code, said, complaint = typed("update", "demo", "--yes", "--json")
        assert code == 0, complaint
        assert json.loads(said)["migrations"] == ["v1.1.0"]
        assert (demo / "it.txt").read_text() == new + TEN + "mine\n"
        assert (demo / "late").read_text() == "after\n"
        assert not (demo / "ten.txt").exists()
        typed("update", "demo", "--abort")
    typed("update", "demo", "--yes")
    commit_all(demo)
    release(origin, {"it.txt": new + TEN + "theirs\n"}, "v1.2.0")
    code, said, _ = typed("update", "demo", "--dry-run", "--json")
    assert json.loads(said)["migrations"] == []


def test_a_migration_that_fails_changes_nothing(origin: Path, demo: Path, typed: Typed) -> None:
    with (origin / "copier.yml").open("a") as file:
        file.write(MIGRATION)
    release(origin, {"new.txt": "new\n"})
    assert "migration v1.1.0: " in refused(typed, demo)


MIGRATION = """
_migrations:
  - version: v1.1.0
    command: [sh, "{{ _copier_conf.src_path }}/hooks/migrations/1.1.0.sh"]
    when: "{{ _stage == 'before' }}"
  - version: v1.1.0
    command: echo after > late
"""
CHANGELOG = """# Changes

## Unreleased

- not yet

## 1.2.0

- all of it

## 1.1.0

- inner

### For owners of emitted repos

- write `extra` into slo.yaml

### Other

- more

## 1.0.0

- old
"""


def test_the_news_of_the_versions_crossed_are_shown(origin: Path, demo: Path, typed: Typed) -> None:
    (origin / "CHANGELOG.md").write_text(CHANGELOG)
    release(origin, {"new.txt": "new\n"}, "v1.2.0")
    code, said, _ = typed("update", "demo", "--yes", "--json")
    news = {"1.2.0": "- all of it", "1.1.0": "- write `extra` into slo.yaml"}
    assert (code, json.loads(said)["news"]) == (0, news)


@pytest.mark.parametrize(("verdict", "code"), [("true", 0), ("false", 1)])
def test_the_projects_own_checks_run_after_an_update(
    verdict: str, code: int, origin: Path, demo: Path, typed: Typed
) -> None:
    edit(demo, {"Makefile": f"plan:\n\t@true\ncheck:\n\t@echo why; {verdict}\n"})
    release(origin, {"new.txt": "new\n"})
    assert "Then: make setup plan check" in typed("update", "demo", "--yes")[1]
    typed("update", "demo", "--abort")
    (demo / ".venv").mkdir()
    (demo / ".venv/ready").touch()
    left, said, _ = typed("update", "demo", "--yes", "--json")
    assert (left, json.loads(said)["check"]["passed"]) == (code, code == 0)
    assert "why" in json.loads(said)["check"]["said"] or code == 0
    assert (demo / "new.txt").exists()


def test_plain_copier_and_our_command_take_turns(origin: Path, demo: Path, typed: Typed) -> None:
    for number, ours in enumerate((False, True, False, True)):
        edit(demo, {"own.txt": f"{number}\n"})
        release(origin, {"ten.txt": TEN + f"version {number}\n"}, f"v1.1.{number}")
        if ours:
            assert typed("update", "demo", "--yes")[0] == 0
        else:
            run_update(str(demo), defaults=True, overwrite=True, quiet=True)
        assert (demo / "ten.txt").read_text() == TEN + f"version {number}\n"
        assert f"_commit: v1.1.{number}" in (demo / ".copier-answers.yml").read_text()


def test_both_commands_write_the_same_when_nothing_was_edited(
    origin: Path, demo: Path, typed: Typed, tmp_path: Path
) -> None:
    release(origin, {"ten.txt": "ten\n", "gone.txt": None, "new.txt": "new\n", OURS: "x = 1\n"})
    shutil.copytree(demo, tmp_path / "plain")
    run_update(str(tmp_path / "plain"), defaults=True, overwrite=True, quiet=True)
    assert typed("update", "demo", "--yes")[0] == 0
    assert contents(demo) == contents(tmp_path / "plain")


def test_markers_are_stopped_by_the_emitted_hook_and_by_its_checks(tmp_path: Path) -> None:
    makefile = (ROOT / "template/project/Makefile.jinja").read_text()
    check = next(line for line in makefile.splitlines() if "git grep" in line).strip("\t@")
    config = yaml.safe_load((ROOT / "template/project/.pre-commit-config.yaml").read_text())
    wanted = [hook for hook in config["repos"][0]["hooks"] if hook["id"] == "conflict-markers"]
    config["repos"][0]["hooks"] = wanted
    git(tmp_path, "init", "--quiet")
    edit(tmp_path, {".pre-commit-config.yaml": yaml.safe_dump(config), "a.md": "Title\n========\n"})
    tool = [sys.executable, "-m", "pre_commit"]
    subprocess.run([*tool, "install"], cwd=tmp_path, check=True, capture_output=True)
    for text, stopped in (("<<<<<<< yours\na\n=======\nb\n>>>>>>> theirs\n", True), ("a\n", False)):
        (tmp_path / "a.md").write_text(text)
        command = ["git", "commit", "--all", "--message", "unseen"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode != 0) == stopped, done.stdout + done.stderr
        assert ("a.md:1:<<<<<<< yours" in done.stdout + done.stderr) == stopped
        linted = subprocess.run(["bash", "-c", check], cwd=tmp_path, capture_output=True)
        assert (linted.returncode != 0) == stopped


Terminal = Callable[[], pexpect.spawn]
DOWN, CTRL_C = "\x1b[B", "\x03"


@pytest.fixture
def terminal(origin: Path, demo: Path, tmp_path: Path) -> Iterator[Terminal]:
    """Type the command in a terminal, for a template with a question and a picture that are new."""
    edit(demo, {"picture.bin": b"\0mine"})
    with (origin / "copier.yml").open("a") as file:
        file.write("words:\n  type: int\n  default: 3\n  help: How many words?\n")
    release(origin, {"picture.bin": b"\0theirs", "words.txt.jinja": "{{ words }}\n"})
    opened: list[pexpect.spawn] = []

    def start() -> pexpect.spawn:
        shell = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        options = {"cwd": str(demo), "env": shell, "dimensions": (50, 120), "timeout": 60}
        opened.append(pexpect.spawn(CLI[0], [*CLI[1:], "update"], encoding="utf-8", **options))
        return opened[-1]

    yield start
    for child in opened:
        child.close(force=True)


def ended(child: pexpect.spawn) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus)


def test_in_a_terminal_new_questions_and_what_cannot_be_merged_are_asked(
    demo: Path, terminal: Terminal
) -> None:
    child = terminal()
    child.expect_exact("How many words?")
    child.send("\b5\r")
    child.expect_exact("Yours is kept, unless you say otherwise")
    child.expect_exact("picture.bin?")
    child.send(DOWN + "\r")
    child.expect_exact("What now?")
    child.send("\r")
    child.expect_exact("Look at it: git diff --cached")
    assert ended(child) == 0
    assert (demo / "picture.bin").read_bytes() == b"\0theirs"
    assert (demo / "words.txt").read_text() == "5\n"
    assert "words: 5" in (demo / ".copier-answers.yml").read_text()


@pytest.mark.parametrize(("keys", "code"), [(DOWN + "\r", 1), (CTRL_C, 130)])
def test_who_leaves_changes_nothing(keys: str, code: int, demo: Path, terminal: Terminal) -> None:
    before, child = at_rest(demo), terminal()
    child.expect_exact("How many words?")
    child.send("\r")
    child.expect_exact("picture.bin?")
    child.send("\r")
    child.expect_exact("What now?")
    child.send(keys)
    assert ended(child) == code
    assert at_rest(demo) == before
    assert not (demo / ".git/scaffold-update").exists()
