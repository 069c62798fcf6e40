"""Copier alone is enough: no package of ours, no extension, no task, no `--trust`."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, Scaffold, commit_all, contents, git
from scaffold.engine import Engine

UV = shutil.which("uv") or str(Path(sys.executable).parent / "uv")


@pytest.fixture(scope="session")
def copier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds Copier and nothing else."""
    venv = tmp_path_factory.mktemp("copier") / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    python = ["--python", str(venv / "bin/python")]
    subprocess.run([UV, "pip", "install", "--quiet", *python, "copier>=9.18,<10"], check=True)
    assert not list(venv.glob("lib/*/site-packages/scaffold*"))
    return venv / "bin/copier"


def run(copier: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [copier, *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": f"{copier.parent}:{os.environ['PATH']}", "PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def modes(root: Path) -> dict[str, int]:
    return {name: stat.S_IMODE((root / name).stat().st_mode) for name in contents(root)}


PRESET = ["--data-file", str(ROOT / "template/presets/kubernetes.yaml")]


@pytest.mark.parametrize(
    ("theirs", "typed"),
    [([], []), (PRESET, ["--preset", "kubernetes"])],
    ids=["defaults", "preset"],
)
def test_copier_copy_gives_the_same_bytes_as_scaffold_new(
    theirs: list[str],
    typed: list[str],
    copier: Path,
    scaffold: Scaffold,
    template: Path,
    tmp_path: Path,
) -> None:
    plain = run(copier, "copy", "--defaults", *theirs, str(template), "plain", cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    ours = scaffold("new", "ours", "--defaults", *typed, "--template", str(template))
    assert ours.returncode == 0, ours.stderr
    shutil.rmtree(tmp_path / "ours/.git")
    diff = subprocess.run(["diff", "-r", "plain", "ours"], cwd=tmp_path, capture_output=True)
    assert diff.returncode == 0, diff.stdout.decode()
    assert modes(tmp_path / "plain") == modes(tmp_path / "ours")


def test_another_template_s_loop_over_paths_gives_the_same_too(
    copier: Path, tmp_path: Path
) -> None:
    """Our engine compiles less than Copier, and Copier learns from compiling where a loop ends."""
    loop = tmp_path / "loop/{% yield n from names %}{{ n }}{% endyield %}"
    loop.mkdir(parents=True)
    (tmp_path / "loop/copier.yml").write_text("names: {type: yaml, default: [a, b]}\n")
    for name in ("plain.txt", "said.txt.jinja", "of-{{ n }}.txt.jinja"):
        (loop / name).write_text("{{ n }}\n")
    done = run(copier, "copy", "--defaults", "loop", "plain", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Engine(str(tmp_path / "loop"), tmp_path / "ours", defaults=True, quiet=True) as engine:
        engine.run_copy()
    assert contents(tmp_path / "ours") == contents(tmp_path / "plain")
    assert contents(tmp_path / "ours")["b/of-b.txt"] == b"b\n"


def test_the_interview_needs_no_trust() -> None:
    interview = yaml.safe_load((ROOT / "copier.yml").read_text())
    assert not {"_tasks", "_jinja_extensions", "_migrations", "_skip_if_exists"} & set(interview)


@pytest.mark.parametrize("bad", ["project_name=Bad Name", "peak_rps=0", "owner_data=me"])
def test_plain_copier_refuses_a_bad_answer_too(
    bad: str, copier: Path, toy: Path, tmp_path: Path
) -> None:
    done = run(copier, "copy", "--defaults", "--data", bad, str(toy), "plain", cwd=tmp_path)
    assert done.returncode != 0
    assert not (tmp_path / "plain").exists()


def test_an_update_renews_what_is_ours_and_never_touches_what_is_yours(
    copier: Path, toy: Path, tmp_path: Path
) -> None:
    origin, demo = tmp_path / "origin", tmp_path / "demo"
    shutil.copytree(toy, origin)
    assert run(copier, "copy", "--defaults", str(origin), "demo", cwd=tmp_path).returncode == 0
    git(demo, "init", "--quiet")
    package = demo / "src/late_flights"
    (package / "ingest.py").unlink()
    commit_all(demo)

    source = origin / "template/project/src/{{ package_name }}"
    for file in (source / "ingest.py", source / "production/__init__.py"):
        file.write_text('"""Renewed."""\n')
    (origin / "template/project/slo.yaml.jinja").write_text("peak_rps: {{ peak_rps }}\nnew: 1\n")
    commit_all(origin)
    git(origin, "tag", "v1.1.0")

    before = (demo / "slo.yaml").read_bytes()
    done = run(copier, "update", "--defaults", cwd=demo)
    assert done.returncode == 0, done.stderr
    assert (package / "production/__init__.py").read_text() == '"""Renewed."""\n'
    assert (demo / "slo.yaml").read_bytes() == before
    assert not (package / "ingest.py").exists()
