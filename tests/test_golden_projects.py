"""The golden projects: real flights on a server of each kind, to a rehearsal that they survive."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from conftest import CLI, make
from scaffold.checks.run import check
from servers import PASSWORD
from test_source_walk import COLUMNS, CREDENTIALS, FLIGHTS, in_postgres, in_redis

S3 = {"AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
S3 |= {"AWS_ACCESS_KEY_ID": "ada", "AWS_SECRET_ACCESS_KEY": PASSWORD}


def in_s3(path: Path, port: int) -> dict[str, str]:
    """Put a CSV file into a bucket; return the answers that name it."""
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    client.create_bucket(Bucket="lake")
    client.put_object(Bucket="lake", Key="raw/flights.csv", Body=path.read_bytes())
    return {"source": "object_store", "source_url": "s3://lake/raw"}


PRESETS: dict[str, tuple[str, Callable[[Path, int], dict[str, str]]]] = {
    "streaming": ("redis_port", in_redis),
    "warehouse": ("postgres_port", in_postgres),
    "kubernetes": ("s3_port", in_s3),
}


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.presets
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_survives_its_rehearsal(
    preset: str,
    project: Path,
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    server, fill = PRESETS[preset]
    port = request.getfixturevalue(server)
    for name, value in (
        CREDENTIALS | S3 | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    ).items():
        monkeypatch.setenv(name, value)
    export = [project / ".venv/bin/python", "-c", FLIGHTS.replace("every(25)", "every(10)")]
    path = {"PYTHONPATH": str(project / "src")}
    subprocess.run(export, cwd=tmp_path, env=os.environ | path, check=True)
    answers = fill(tmp_path / "flights.csv", port) | COLUMNS
    root = tmp_path / preset
    new = [*CLI, "new", root, "--yes", "--preset", preset, "--template", template]
    new += [f"--data={name}={value}" for name, value in answers.items()]
    subprocess.run(new, check=True, capture_output=True)
    (root / ".venv").symlink_to(project / ".venv")
    (project / ".venv/ready").unlink()  # `make setup` moves the environment here, and back.
    make(root, "setup", "contract", "test", "rehearse", minutes=20)
    assert (root / "reports/rehearsal.html").stat().st_size > 0
    assert check(root).score >= 5
    (project / ".venv/ready").unlink()
    make(project, "setup")
