"""The site of the documents: built strictly, and its links lead somewhere."""

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from conftest import ROOT
from scaffold.checks import catalogue
from test_places import AXES, FILES_PLACES, PLACES

ATTRIBUTE = re.compile(r"""<(\w+)[^>]*?\s(href|src)=("[^"]*"|[^\s>]+)""")
IDENTITY = re.compile(r"""\sid=("[^"]*"|[^\s>]+)""")
FAULTS = "template/project/src/{{ package_name }}/production/rehearse/faults.yaml"


def build(folder: Path, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    options = ["--strict", "--config-file", config, "--site-dir", folder]
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", *options],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def dead_links(site: Path) -> list[str]:
    """Every link to what is not there, and what would come from a network."""
    texts = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    anchors = defaultdict(
        set, {p: {i.strip('"') for i in IDENTITY.findall(t)} for p, t in texts.items()}
    )
    dead = []
    for path, text in texts.items():
        for tag, kind, quoted in ATTRIBUTE.findall(text):
            target, _, anchor = unquote(quoted.strip('"')).partition("#")
            place = (path.parent / target).resolve() if target else path
            if ":" in target:
                wrong = kind == "src" or tag == "link"
            else:
                wrong = not place.is_file() or bool(anchor and anchor not in anchors[place])
            if wrong and path.name != "404.html":
                dead.append(f"{path.relative_to(site)}: {quoted}")
    return dead


def test_every_link_leads_somewhere_and_nothing_comes_from_a_network(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) > 100
    assert dead_links(site) == []


@pytest.mark.parametrize(
    "link",
    ['<a href="gone.html">', '<a href="#gone">', "<script src=https://host/a.js>"],
)
def test_a_dead_link_is_found(link: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f'<a id="here" href="#here"></a>{link}')
    assert len(dead_links(tmp_path)) == 1


def test_a_strict_build_fails_for_a_dead_link(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# One\n\n[gone](gone.md)\n")
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    config |= {"hooks": [], "nav": ["index.md"], "theme": "mkdocs"}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config))
    done = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert done.returncode == 1
    assert "gone.md" in done.stderr


def test_a_question_has_a_page_that_shows_what_it_changes(site: Path) -> None:
    asked = yaml.safe_load((ROOT / "copier.yml").read_text())
    places = {key: {place} for key, (_, place) in {**PLACES, **FILES_PLACES}.items()} | AXES
    for key, question in asked.items():
        if key.startswith("_") or question.get("when") is False:
            continue
        page = (site / f"questions/{key}.html").read_text()
        assert all(place in page for place in places.get(key, ())), key
        assert f">{question['default']}" in page or "{{" in str(question["default"]), key
    assert "ops/derived/haproxy.cfg" in (site / "questions/peak_rps.html").read_text()


def test_a_fault_a_rule_and_a_stage_have_a_page(site: Path) -> None:
    faults = yaml.safe_load((ROOT / FAULTS).read_text())
    for name, fault in {**faults["live"], **faults["offline"]}.items():
        page = (site / f"faults/{name}.html").read_text()
        assert "<h2" in page, name
        assert str(fault["by"]).split(",")[0] in page, name
    for code, rule in catalogue.rules().items():
        assert rule.title().split("`")[0] in (site / f"checks/{code}.html").read_text(), code
    for stage in ("ingest", "validate", "featurize", "train", "evaluate", "package", "watch"):
        assert f"make {stage}" in (site / f"stages/{stage}.html").read_text(), stage
