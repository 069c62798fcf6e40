"""What a version brings beside its files: migrations, news for the owner, checks."""

import json
from pathlib import Path

import pytest

from conftest import commit_all
from updating import TEN, Typed, edit, refused, release


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
