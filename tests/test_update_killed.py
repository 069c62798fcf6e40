"""An update that is killed at any point: nothing is lost, and both ends can be reached."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import git
from updating import TEN, Typed, at_rest, edit, release


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
