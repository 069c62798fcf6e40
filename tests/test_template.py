"""The template's files: whole files, never branches; nothing dead, nothing left over."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import FILES_ANSWERS, ROOT, contents, git, tracked_files
from test_places import FLIPS, SERVERS, TEXT, about_a_server, interview

PROJECT = ROOT / "template/project"
VARIANTS = ROOT / "template/variants"
TAG = re.compile(r"\{[{%#]")
# One whole file for each choice, or one that a sample starts with.
SHARED = "(start if source == 'sample' else source)"
INCLUDE = re.compile(
    rf"\{{% include 'template/variants/(\w+)/' ~ (\w+|{re.escape(SHARED)}) ~ '\.\w+' -?%\}}\n"
)
Render = Callable[..., Path]


# --- whole files, never branches ----------------------------------------------------------------


def tags_in_variants(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix == ".py"]
    return [path.name for path in files if TAG.search(path.read_text())]


def logic_in_python(folder: Path) -> list[str]:
    """Python sources that hold more than the package's name, or are no single include."""
    wrong = [path.name for path in folder.rglob("*.py") if "{%" in path.read_text()]
    for path in folder.rglob("*.py.jinja"):
        text = path.read_text()
        plain = text.replace("{{ package_name }}", "")
        if not INCLUDE.fullmatch(text) and TAG.search(plain):
            wrong.append(path.name)
    return wrong


def test_no_tag_in_a_variant_and_no_logic_in_python(tmp_path: Path) -> None:
    assert tags_in_variants(VARIANTS) == []
    assert logic_in_python(PROJECT) == []
    # The guards bite: an f-string that Jinja would empty, a branch in code, a page inside of it.
    (tmp_path / "sample.py").write_text('f"{{x}}"\n')
    (tmp_path / "train.py.jinja").write_text("{% if source %}x = 1{% endif %}\n")
    (tmp_path / "ok.py.jinja").write_text("import {{ package_name }}\n")
    (tmp_path / "page.py").write_text('PAGE = "{% for row in rows %}"\n')
    assert sorted(tags_in_variants(tmp_path)) == ["page.py", "sample.py"]
    assert logic_in_python(tmp_path) == ["page.py", "train.py.jinja"]


def test_every_variant_is_reached_and_has_a_sibling_for_each_choice() -> None:
    wanted = set()
    for path in [*PROJECT.rglob("*.jinja"), *VARIANTS.rglob("*.yaml")]:
        for stage, axis in INCLUDE.findall(path.read_text()):
            kinds = {"files", "sample", "birds"} if "start" in axis else set()
            if axis != "start":
                choices = interview()["source" if axis == SHARED else axis]["choices"]
                assert isinstance(choices, dict)
                kinds |= set(choices.values())
            wanted |= {f"{stage}/{choice}" for choice in kinds}
    there = {
        path.relative_to(VARIANTS).with_suffix("").as_posix()
        for path in VARIANTS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there == wanted


def test_variants_of_one_stage_have_one_signature() -> None:
    for folder in VARIANTS.iterdir():
        public = {
            frozenset(
                (node.name, ast.unparse(node.args))
                for node in ast.parse(path.read_text()).body
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            )
            for path in folder.glob("*.py")
        }
        assert len(public) <= 1, folder.name


# --- nothing dead, nothing left over ------------------------------------------------------------


EACH = [{}, FILES_ANSWERS, *map(about_a_server, SERVERS), *FLIPS["target"], TEXT]


@pytest.mark.parametrize(
    "answers", EACH, ids=lambda answers: " ".join(map(str, [*answers.values()][:1])) or "defaults"
)
def test_no_tag_is_left_over(answers: dict[str, str], render: Render) -> None:
    """Only files that are rendered can keep one; report pages are templates of their own."""
    emitted = render(**answers)
    verbatim = {
        path.relative_to(PROJECT).as_posix().replace("{{ package_name }}", "late_flights")
        for path in PROJECT.rglob("*")
    }
    for name, body in contents(emitted).items():
        assert "{{" not in name
        if name not in verbatim:
            assert not re.search(rb"(?<!\$)\{\{|\{%", body), name


@pytest.mark.parametrize(
    "answers", EACH, ids=lambda answers: " ".join(map(str, [*answers.values()][:1])) or "defaults"
)
def test_emitted_files_parse_and_are_not_empty(answers: dict[str, str], render: Render) -> None:
    emitted = render(**answers)
    for name, body in contents(emitted).items():
        assert body.strip(), f"{name} is empty"
        assert b"\r\n" not in body, name
        assert body.endswith(b"\n") or name.endswith(".png"), name
        if name.endswith((".yaml", ".yml")) and "/templates/" not in name:
            assert yaml.safe_load(body) is not None, name
        if name.endswith(".py"):
            ast.parse(body, name)


def test_git_loses_no_file_of_the_template(render: Render, tmp_path: Path) -> None:
    """An ignore file, ours or the emitted one, must not hide a file from a commit."""
    on_disk = [path for path in PROJECT.rglob("*") if path.is_file()]
    junk = re.compile(r"__pycache__|_cache/|\.pyc$")
    assert {path for path in on_disk if not junk.search(str(path))} <= set(tracked_files())
    git(tmp_path, "init", "--quiet")
    for name, body in contents(render()).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    git(tmp_path, "add", "--all")
    assert set(git(tmp_path, "ls-files").split()) == set(contents(render()))


def test_every_seeded_path_of_the_manifest_exists(render: Render) -> None:
    manifest = (ROOT / "template/manifest.jinja").read_text()
    seeded = manifest[manifest.index("# Yours") : manifest.rindex("{% endif %}")].split("\n")
    patterns = [line.lstrip("/") for line in seeded if line.startswith("/")]
    assert patterns
    emitted = [render(), render(target="kubernetes")]
    for pattern in patterns:
        assert any(list(each.glob(pattern)) for each in emitted), pattern


def test_no_emitted_path_troubles_another_system(render: Render) -> None:
    for name in contents(render()):
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", name), name
        assert len(name) < 100
