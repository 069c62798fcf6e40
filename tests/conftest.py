"""A user's desk: the command line, a small template to try it on, and the real one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from copier import run_copy

pytest_plugins = ["servers", "sources", "updating", "manifests"]
ROOT = Path(__file__).resolve().parents[1]
CLI = [sys.executable, "-m", "scaffold"]
FILES_ANSWERS = {
    "source": "files",
    "files_path": "data/incoming",
    "target_column": "late",
    "time_column": "when",
    "id_column": "key",
}

PLANNER = """\
import json, sys, yaml
slo = yaml.safe_load(open("slo.yaml"))
open("written-by-the-planner", "w").close()
if slo["peak_rps"] == 666:
    raise SystemExit("the planner broke")
if slo["peak_rps"] == 777:
    bad = {"where": "slo.yaml", "what": "makes no sense", "way_out": "mend it"}
    print(json.dumps({"feasible": False, "problems": [bad]}))
    sys.exit(1)
feasible = slo["peak_rps"] <= 1000
way_out = "lower peak_rps to 1000"
problem = {"where": "slo.yaml: peak_rps", "what": "too many", "way_out": way_out}
print(json.dumps({
    "feasible": feasible,
    "problems": [] if feasible else [problem, {**problem, "what": "too dear"}],
    "capacity": {"replicas": 2, "replica_rps": 40.0, "measured": False, "utilisation": 0.6,
                 "cost_per_1000": 0.004, "currency": "USD"},
    "alerts": [{"name": "a", "severity": "page", "owner": slo["owner"]}],
    "canary": {"steps_percent": [5, 50, 100], "step_requests": 200, "seconds": 30.0},
    "error_budget": {"window_days": 28, "requests": 1e6, "bad_requests": 5e3},
}))
sys.exit(0 if feasible else 1)
"""
SLO = """\
peak_rps: {{ peak_rps }}
owner: {{ owner_platform | tojson }}
window_days: {{ window_days }}
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="Write tests/golden anew.")
    parser.addoption("--forbid-skips", action="store_true", help="A skipped test fails the run.")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and session.config.getoption("--forbid-skips"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def tracked_files() -> list[Path]:
    """Every file of the checkout that git tracks or would."""
    listing = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    return sorted(ROOT / name for name in set(listing.split("\0")) - {""} if (ROOT / name).exists())


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def commit_all(folder: Path, message: str = "a version") -> None:
    git(folder, "add", "--all")
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    git(folder, *who, "commit", "--quiet", "--no-verify", "--allow-empty", "--message", message)


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's settings of git and Copier out of the tests, and a name in."""
    settings = tmp_path_factory.mktemp("settings")
    (settings / "git").write_text("[user]\nname = Ada\nemail = ada@localhost\n")
    (settings / "copier").write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(settings / "git"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("COPIER_SETTINGS_PATH", str(settings / "copier"))
        for name in list(os.environ):
            if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER")) or name == "EMAIL":
                patch.delenv(name)
        yield


def break_guards(root: Path) -> None:
    """Break all that guards the pipeline of an emitted project; each guard must say so."""
    tools = root / ".venv/bin"
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [tools / "python", ROOT / "tests/guards.py"],
        cwd=root,
        env={**os.environ, "PATH": path, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


Scaffold = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def scaffold(tmp_path: Path) -> Scaffold:
    """Type a scaffold command in an empty folder, where no terminal is."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLI, *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Git repository with our own interview and manifest, and a project of five files."""
    root = tmp_path_factory.mktemp("toy")
    shutil.copy(ROOT / "copier.yml", root)
    project = root / "template/project"
    package = project / "src/{{ package_name }}"
    (package / "production").mkdir(parents=True)
    (root / "template/catalog").mkdir()
    for shared in (
        "template/manifest.jinja",
        "template/catalog/clashes.jinja",
        "template/catalog/reserved_names.txt",
        "template/presets/streaming.yaml",
        "template/catalog/gpus.yaml",
        "template/project/ops/prices.yaml.jinja",
        "template/project/src/{{ package_name }}/production/assumptions.yaml",
        "template/project/{{_copier_conf.answers_file}}.jinja",
    ):
        (root / shared).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / shared, root / shared)
    (package / "__init__.py").write_text('"""Toy."""\n')
    (package / "ingest.py").write_text('"""Yours."""\n')
    (package / "production/__init__.py").write_text('"""Ours."""\n')
    (package / "production/__main__.py").write_text(PLANNER)
    (project / "slo.yaml.jinja").write_text(SLO)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit_all(root)
    git(root, "tag", "v1.0.0")
    return root


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real template as a clean Git repository, whatever state the checkout is in."""
    root = tmp_path_factory.mktemp("template")
    for path in tracked_files():
        copy = root / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit_all(root)
    return root


@pytest.fixture(scope="session")
def render(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Render the real template for the default answers, some of them changed; once per set."""
    plain = tmp_path_factory.mktemp("plain") / "template"
    shutil.copytree(template, plain, ignore=shutil.ignore_patterns(".git"))
    done: dict[str, Path] = {}

    def rendered(**answers: object) -> Path:
        key = json.dumps(answers, sort_keys=True)
        if key not in done:
            done[key] = tmp_path_factory.mktemp("emitted") / "project"
            run_copy(str(plain), done[key], data=answers, defaults=True, quiet=True)
        return done[key]

    return rendered


@pytest.fixture(scope="session")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A default project, set up; stopped and removed afterwards."""
    root = tmp_path_factory.mktemp("default") / "project"
    subprocess.run([*CLI, "new", root, "--defaults", "--template", template], check=True)
    make(root, "setup", minutes=15)
    yield root
    make(root, "down", minutes=2)
    shutil.rmtree(root / ".venv")


def asked_of(project: Path, script: str, lines: list[str], folder: Path) -> list[Any]:
    """Run a script with the emitted code in a folder: what it says, as JSON, of each line."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(project / "src")},
        input="\n".join(lines),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def make(root: Path, *verbs: str, minutes: float = 5) -> str:
    """Run verbs of the emitted Makefile as from a fresh shell; return what they print."""
    ours = ("MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHON", "PYTEST")
    shell = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    log = root.with_suffix(".log")
    with log.open("w") as out:
        done = subprocess.run(
            ["make", *verbs],
            cwd=root,
            env=shell,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=minutes * 60,
        )
    said = log.read_text()
    assert done.returncode == 0, f"make {' '.join(verbs)}\n{said[-8000:]}"
    return said


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder and its bytes, the history and what Python caches aside."""
    aside = {".git", "__pycache__"}
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and aside.isdisjoint(path.relative_to(root).parts)
    }
