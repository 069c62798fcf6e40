"""The generator's benchmarks: rivals get the same files, and the page says what was measured."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import copier

from conftest import ROOT, contents
from updating import TEN, edit, release

sys.path.insert(0, str(ROOT / "benchmarks/generator"))
import cookie
import report
from patches import patched

FILLED = {
    "{{cookiecutter.project_name}}": "late-flights",
    "{{cookiecutter.package_name}}": "late_flights",
}


def filled(text: str) -> str:
    for tag, name in FILLED.items():
        text = text.replace(tag, name)
    return text


def test_the_rivals_get_the_same_files(render: Callable[..., Path], tmp_path: Path) -> None:
    counts = cookie.convert(render(), tmp_path)
    answers = json.loads((tmp_path / "cookiecutter.json").read_text())
    (top,) = (path for path in tmp_path.iterdir() if path.is_dir())
    found = {filled(name): body for name, body in contents(top).items()}
    assert {name: filled(body.decode()) for name, body in found.items()} == {
        name: body.decode() for name, body in contents(render()).items()
    }
    assert sum(counts.values()) == len(found)
    copied = {filled(name) for name in answers["_copy_without_render"]}
    for name, body in found.items():
        rest = filled(body.decode())
        assert (name in copied) == any(mark in rest for mark in cookie.BRACES), name
        assert name in copied or b"late-flights" not in body, name


def test_a_ratio_is_to_what_is_compared_with() -> None:
    each = {"median": 2.0, "best": 1.0, "worst": 3.0}
    half = {"median": 1.0, "best": 1.0, "worst": 1.0}
    found = {"plain": {"wall": each, "cpu": each}, "ours": {"wall": half, "cpu": each}}
    assert report.table(found, "plain").splitlines()[-1] == (
        "| `ours` | 1.00 (1.00 to 1.00) | 0.50 | 2.00 (1.00 to 3.00) | 1.00 |"
    )


def test_the_page_is_made_of_the_results() -> None:
    room = ROOT / "benchmarks/generator"
    found = json.loads((room / "results.json").read_text())
    assert (room / "results.md").read_text() == report.text(found)
    assert (room / "results.svg").read_text() == report.picture(found)


def test_our_patches_for_copier_change_its_clones_and_no_byte(
    origin: Path, demo: Path, tmp_path: Path
) -> None:
    edit(demo, {"ten.txt": "mine\n" + TEN})
    release(origin, {"ten.txt": TEN + "theirs\n", "gone.txt": None, "new.txt": "new\n"})
    patch = {"PYTHONPATH": str(patched(Path(copier.__file__).parent, tmp_path / "patched"))}
    found = {}
    for name, environment in (("plain", {"PYTHONPATH": ""}), ("quick", patch)):
        shutil.copytree(demo, tmp_path / name)
        trace = tmp_path / f"{name}.trace"
        done = subprocess.run(
            [sys.executable, "-m", "copier", "update", "--defaults", "--quiet"],
            cwd=tmp_path / name,
            env=os.environ | environment | {"GIT_TRACE": str(trace)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        clones = trace.read_text().count("built-in: git clone")
        found[name] = clones, contents(tmp_path / name)
    assert "mine" in (tmp_path / "quick/ten.txt").read_text()
    assert found["plain"][1] == found["quick"][1]
    assert (found["plain"][0], found["quick"][0]) == (5, 2)
