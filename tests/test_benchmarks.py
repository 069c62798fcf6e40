"""The generator's benchmarks: rivals get the same files, and the page says what was measured."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import ROOT, contents

sys.path.insert(0, str(ROOT / "benchmarks/generator"))
import cookie
import report

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
