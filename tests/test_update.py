"""`scaffold update` as its user sees it, on repositories with a history and edits of their own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from copier import run_update

from conftest import ROOT, Scaffold, commit_all, contents, git
from updating import OURS, TEN, Typed, at_rest, edit, kinds, refused, release


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
    assert "new.txt: we would write it" in typed("update", "demo", "--finish")[2]
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
