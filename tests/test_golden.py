"""Golden projects: what each preset writes, so that a change shows what it does to users."""

import difflib
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, contents
from test_matrix import PRESETS

GOLDEN = ROOT / "tests/golden"
HEAD = """\
# What `scaffold new --preset {}` writes: digest, lines (* can be run), path.
# `make golden` makes this file; look at what changed, and commit it.
"""


def listing(name: str, root: Path) -> str:
    """A line for each file; what Copier records of the template's place and version is left out."""
    rows = [HEAD.format(name)]
    for path, body in contents(root).items():
        if path == ".copier-answers.yml":
            body = b"".join(line for line in body.splitlines(True) if line[:1] != b"_")
        digest, lines = hashlib.sha256(body).hexdigest()[:10], body.count(b"\n")
        mark = "*" if (root / path).stat().st_mode & 0o100 else " "
        rows.append(f"{digest} {lines:5}{mark} {path}\n")
    return "".join(rows)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_writes_what_was_looked_at(
    name: str, render: Callable[..., Path], request: pytest.FixtureRequest
) -> None:
    golden, now = GOLDEN / f"{name}.txt", listing(name, render(**PRESETS[name]))
    if request.config.getoption("--write-golden"):
        golden.write_text(now)
    before = golden.read_text() if golden.exists() else ""
    lines = (text.splitlines() for text in (before, now))
    diff = "\n".join(difflib.unified_diff(*lines, f"golden/{name}.txt", "now", n=0, lineterm=""))
    if diff:
        told = f"what --preset {name} writes has changed; if that is meant: make golden"
        pytest.fail(f"{told}\n{diff}", pytrace=False)


def test_every_listing_is_that_of_a_preset() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(PRESETS)


def test_a_listing_sees_a_byte_a_mode_and_a_name(tmp_path: Path) -> None:
    seen = set()
    for change in ("", "byte", "mode", "name", "version"):
        root = tmp_path / f"root{change}"
        root.mkdir()
        (root / ("b" if change == "name" else "a")).write_text("y" if change == "byte" else "x")
        (root / ".copier-answers.yml").write_text(f"_commit: v1{change * (change == 'version')}\n")
        if change == "mode":
            (root / "a").chmod(0o755)
        seen.add(listing("x", root))
    assert len(seen) == 4
