"""Presets: the answers that suit one kind of service, as defaults that may be changed."""

import re
import shutil
from pathlib import Path

import yaml

from conftest import ROOT, commit_all
from test_matrix import PRESETS
from updating import Typed


def answers(tmp_path: Path, name: str = "demo") -> dict[str, object]:
    return dict(yaml.safe_load((tmp_path / name / ".copier-answers.yml").read_text()))


def test_a_preset_gives_the_defaults_and_what_is_typed_wins(
    typed: Typed, toy: Path, tmp_path: Path
) -> None:
    options = ("--preset", "streaming", "--template", str(toy))
    assert typed("new", "demo", "--yes", "--data", "freshness_hours=3", *options)[0] == 0
    changed = {**PRESETS["streaming"], "freshness_hours": 3}
    assert answers(tmp_path).items() >= changed.items()
    assert "nobody is there to answer" in typed("new", "other", *options)[2]


def test_an_adoption_takes_a_preset_too(typed: Typed, toy: Path, tmp_path: Path) -> None:
    typed("new", "plain", "--yes", "--template", str(toy))
    (tmp_path / "plain/.copier-answers.yml").unlink()
    commit_all(tmp_path / "plain")
    options = ("--preset", "streaming", "--template", str(toy), "--json")
    _, said, _ = typed("adopt", "plain", "--yes", *options)
    assert '"source": "stream"' in said


def test_a_preset_that_is_none_is_one_line(typed: Typed, toy: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(toy, own)
    (own / "template/presets/mine.yaml").write_text("peak_rsp: 8\n")
    commit_all(own)
    for name, line in {
        "steaming": "--preset steaming: no such preset; did you mean streaming?",
        "../secret": "--preset ../secret: no such preset; known are mine, streaming",
        "mine": "mine.yaml: peak_rsp: no such answer; did you mean peak_rps?",
    }.items():
        options = ("--preset", name, "--template", str(own), "--ref", "HEAD")
        code, _, said = typed("new", "demo", "--yes", *options)
        assert (code, len(said.splitlines())) == (2, 1), said
        assert line in said
        assert not (tmp_path / "demo").exists()


def test_the_readme_shows_every_preset() -> None:
    shown = re.findall(r"^\| `([a-z-]+)` \|.*", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(PRESETS) <= set(shown)
    assert len(PRESETS) == 5
