"""Releases are signed where there is a key, and let in only if somebody who may has signed them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import commit_all, git

RELEASE = "0123456789ab"


@pytest.fixture
def project(render: Callable[..., Path], tmp_path: Path) -> Path:
    """A project with one release, of which its registry knows nothing yet."""
    root = tmp_path / "project"
    subprocess.run(["cp", "-r", render(), root], check=True)
    source = root / f"releases/{RELEASE}/bento/src"
    source.mkdir(parents=True)
    (source / "contract.yaml").write_text("version: 1\n")
    (root / "reports").mkdir()
    (root / "reports/package.json").write_text(f'{{\n "release": "{RELEASE}"\n}}\n')
    git(root, "init", "--quiet")
    commit_all(root)
    return root


def key(project: Path, name: str) -> str:
    """Make a key, and return its line for those who may sign."""
    path = project.parent / name
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]
    subprocess.run(make, check=True)
    return f"{name}@localhost {path.with_suffix('.pub').read_text()}"


def tag(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = ["bash", "deploy/local/tag.sh", "late_flights", *words]
    return subprocess.run(script, cwd=project, capture_output=True, text=True)


def sign_with(project: Path, name: str) -> None:
    git(project, "config", "gpg.format", "ssh")
    git(project, "config", "user.signingKey", str(project.parent / f"{name}.pub"))


def test_without_signers_nobody_is_asked(project: Path) -> None:
    assert tag(project).returncode == 0
    assert "SIGNATURE" not in git(project, "cat-file", "tag", "late_flights@v1.1.0")
    assert tag(project, "check").returncode == 0


def test_a_release_is_let_in_by_the_signature_of_who_may(project: Path) -> None:
    known, _ = key(project, "ada"), key(project, "eve")
    (project / "ops/allowed_signers").write_text(known)
    for signer, allowed in (("", False), ("eve", False), ("ada", True)):
        if signer:
            git(project, "tag", "--delete", "late_flights@v1.1.0")
            sign_with(project, signer)
        assert tag(project).returncode == 0
        done = tag(project, "check")
        assert (done.returncode == 0) == allowed
        if not allowed:
            assert done.stderr.count("\n") == 1
            assert f"signed release {RELEASE}; tell git a key" in done.stderr
    assert tag(project, "check", RELEASE).returncode == 0
    assert tag(project, "check", "another").returncode == 1
    assert tag(project, "check", ".*").returncode == 1


def test_a_stage_is_signed_too(project: Path) -> None:
    key(project, "ada")
    sign_with(project, "ada")
    (project / "releases/ledger.jsonl").write_text(
        f'{{"event": "deployed", "release": "{RELEASE}"}}\n'
    )
    assert tag(project, "production").returncode == 0
    assert "SSH SIGNATURE" in git(project, "cat-file", "tag", "late_flights#production#1")


def test_promotion_asks_first(project: Path) -> None:
    said = subprocess.run(
        ["make", "--dry-run", "promote", f"RELEASE={RELEASE}"],
        cwd=project,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    asked = next(n for n, line in enumerate(said) if 'check "$RELEASE"' in line)
    assert " promote" in said[asked + 1]
    (project / "ops/allowed_signers").write_text("")
    (project / ".venv").mkdir()
    (project / ".venv/ready").touch()
    done = subprocess.run(["make", "promote"], cwd=project, capture_output=True, text=True)
    assert f"registry: nobody in ops/allowed_signers has signed release {RELEASE}" in done.stderr
