"""The rules of this house: small modules, one direction of imports, and clean files."""

import ast
import importlib.metadata
import re
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, tracked_files

SOURCE = ROOT / "src/scaffold"
LAYERS = ["errors", "data", "report", "show", "project", "repository", "merge", "files", "pending"]
LAYERS += ["options", "emitted", "engine", "generate", "update", "compare", "adopt", "fleet"]
CHECKS = ["result", "reading", "evidence", "signs", "rule", "data", "model", "infrastructure"]
CHECKS += ["monitoring", "scripts", "wiring", "budgets", "alerts", "upkeep", "catalogue", "run"]
LAYERS += [f"checks.{name}" for name in [*CHECKS, "sarif", "view"]]
EDGE = [
    "edge",
    "cli_review",
    "cli_adopt",
    "cli_look",
    "cli_update",
    "cli_check",
    "cli",
]  # They print, ask and exit.
LAYERS += [*EDGE, "__main__"]


def modules() -> dict[str, ast.Module]:
    paths = {path.relative_to(SOURCE).with_suffix(""): path for path in SOURCE.rglob("*.py")}
    names = {".".join(place.parts): path for place, path in paths.items()}
    return {name: ast.parse(path.read_text()) for name, path in sorted(names.items())}


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def test_imports_point_one_way() -> None:
    assert set(modules()) - {"__init__", "checks.__init__"} == set(LAYERS)
    for name, tree in modules().items():
        for other in LAYERS:
            if f"scaffold.{other}" in imported(tree):
                assert LAYERS.index(other) < LAYERS.index(name), f"{name} imports {other}"


def test_one_module_knows_copier_and_one_speaks() -> None:
    knows = {name for name, tree in modules().items() if any("copier" in i for i in imported(tree))}
    assert knows == {"engine"}
    for name, tree in modules().items():
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        if name not in EDGE:
            assert not calls & {"print", "sys.exit", "input", "exit"}, name


def test_modules_and_functions_stay_small() -> None:
    lengths = []
    for name, tree in modules().items():
        text = (SOURCE / f"{name.replace('.', '/')}.py").read_text()
        assert len(text.splitlines()) <= 250, name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                lengths.append((node.end_lineno or 0) - node.lineno + 1)
    assert statistics.median(lengths) <= 12
    assert sorted(lengths)[len(lengths) * 9 // 10] <= 40


def test_imports_are_silent() -> None:
    names = ", ".join(f"scaffold.{name}" for name in LAYERS[:-1])
    done = subprocess.run(
        [sys.executable, "-c", f"import {names}"], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""


def foreign(text: str) -> list[str]:
    """Names of package registries' hosts, and paths that only one machine has."""
    hosts = (
        ("pypi", "org"),
        ("files.pythonhosted", "org"),
        ("registry.npmjs", "org"),
        ("deb.debian", "org"),
        ("security.debian", "org"),
        ("ubuntu", "com"),
    )
    words = [".".join(host) for host in hosts]
    words += ["/" + start for start in ("work/", "home/", "root/", "Users/", "tmp/venv")]
    return [word for word in words if word in text]


def test_files_name_no_registry_and_no_machine() -> None:
    for path in tracked_files():
        if path.suffix not in {".png", ".parquet"}:
            assert foreign(path.read_text(encoding="utf-8")) == [], path
    assert foreign("index-url = https://" + "pypi" + ".org/simple")


def test_text_is_clean() -> None:
    for path in tracked_files():
        if path.suffix in {".png", ".parquet"}:
            continue
        text = path.read_text(encoding="utf-8")
        assert "\r" not in text, path
        assert text.endswith("\n"), path
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), path
        assert not re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE), path


def test_the_linters_pass() -> None:
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        tool = [sys.executable, "-m", *command]
        done = subprocess.run(tool, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_make_help_lists_every_verb_and_the_readme_names_it() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    done = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert sorted(listed) == sorted(phony[1].split())
    readme = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    for verb in listed:
        assert f"make {verb}" in readme, verb


def test_the_readme_shows_every_option_and_every_question() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in ("new", "adopt", "update", "diff", "status", "check"):
        usage = subprocess.run(
            [sys.executable, "-m", "scaffold", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for option in set(re.findall(r"--[a-z-]+", usage)) - {"--help"}:
            assert f"`{option}" in readme, option
    for key, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items():
        if not key.startswith("_") and question.get("when") is not False:
            assert f"`{key}`" in readme, key


def test_the_version_is_in_the_changelog() -> None:
    version = importlib.metadata.version("scaffold-mlops")
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_links_between_the_documents_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "hooks/README.md"]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
            assert "://" in target or (path.parent / target).exists(), f"{path.name}: {target}"


def test_scripts_parse() -> None:
    for script in [*(ROOT / "tools").glob("*.sh"), ROOT / ".ci/run"]:
        subprocess.run(["bash", "-n", script], check=True)
        assert script.stat().st_mode & 0o100, script


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `uv build` makes of this checkout."""
    from test_copier import UV

    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", out, ROOT], check=True)
    return next(out.glob("*.whl"))


def test_the_wheel_carries_the_template_and_works_alone(wheel: Path, tmp_path: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for path in tracked_files():
        name = path.relative_to(ROOT).as_posix()
        if name == "copier.yml" or name.startswith("template/"):
            assert f"scaffold/_bundle/{name}" in inside
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "from scaffold.options import Template; print(Template.chosen(None, None))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "site",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_bundle" in done.stdout
