"""Every source against a real server: all rows, then new ones only; nothing half-written."""

import datetime
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import polars as pl
import psycopg
import pytest

from conftest import ROOT

pytestmark = pytest.mark.slow
CONTRACT = "dataset: rides\nid: ride id\ntime: at\ncolumns: {amount: {type: number}}\n"
Rows = list[dict[str, Any]]


class Source(NamedTuple):
    """A source as a test sees it: where it is, how rows come into it, how many a batch holds."""

    kind: str
    address: str
    put: Callable[[Rows], None]


def rows(first: int, last: int) -> Rows:
    """Return rows with awkward text; two share each time, and every fifth has no amount."""
    start = datetime.datetime(2024, 2, 28)
    return [
        {
            "ride id": n,
            "at": start + datetime.timedelta(hours=n // 2),
            "amount": None if n % 5 == 0 else n / 3,
            "name": f'Zoë, the "{n}"',
            "late": n % 2,
        }
        for n in range(first, last)
    ]


def module(kind: str) -> ModuleType:
    """Import a variant from its file, as fresh as in a new process."""
    path = ROOT / "template/variants/ingest" / f"{kind}.py"
    spec = importlib.util.spec_from_file_location(f"variant_{kind}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    if kind != "object_store":
        loaded.BATCH = 10  # type: ignore[attr-defined]
    return loaded


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


# --- the servers --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_port() -> Iterator[int]:
    """Start a PostgreSQL cluster of our own; root may not run one, the package's user may."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    binaries = found[-1].parent if found else Path(str(shutil.which("initdb"))).parent
    folder, port = Path(tempfile.mkdtemp(prefix="pg-")), free_port()
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres")

    def run(tool: str, *arguments: str) -> None:
        command = [*as_user, str(binaries / tool), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, cwd="/", check=True, stdout=subprocess.DEVNULL)

    (folder / "password").write_text("sesame-7919\n")
    (folder / "password").chmod(0o644)
    run(
        "initdb",
        "-A",
        "scram-sha-256",
        "-U",
        "ada",
        "--pwfile",
        str(folder / "password"),
        "-E",
        "UTF8",
        "-N",
    )
    settings = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", settings, "start")
    yield port
    run("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def postgres(postgres_port: int, monkeypatch: pytest.MonkeyPatch) -> Source:
    for name, value in {"PGUSER": "ada", "PGPASSWORD": "sesame-7919"}.items():
        monkeypatch.setenv(name, value)
    url = f"postgresql://127.0.0.1:{postgres_port}/postgres"
    columns = '"ride id" bigint, at timestamptz, amount numeric, name text, late int'
    with psycopg.connect(url) as connection:
        connection.execute('DROP TABLE IF EXISTS "Odd ""rides"')
        connection.execute(f'CREATE TABLE "Odd ""rides" ({columns})')

    def put(new: Rows) -> None:
        with (
            psycopg.connect(url, options="-c timezone=UTC") as connection,
            connection.cursor() as cursor,
        ):
            cursor.executemany(
                'INSERT INTO "Odd ""rides" VALUES (%s, %s, %s, %s, %s)',
                [list(row.values()) for row in new],
            )

    return Source("postgres", f'{url}#public.Odd "rides', put)


@pytest.fixture(params=["postgres"])
def source(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Source:
    monkeypatch.chdir(tmp_path)
    Path("contract.yaml").write_text(CONTRACT)
    made: Source = request.getfixturevalue(request.param)
    return made


# --- what every source promises -----------------------------------------------------------------


def read(source: Source) -> pl.DataFrame:
    return module(source.kind).ingest(source.address).collect().sort("ride id")


def landed() -> dict[str, tuple[int, int]]:
    """Every file that has landed, and what tells whether it was written again."""
    return {
        p.name: (p.stat().st_ino, p.stat().st_mtime_ns)
        for p in Path("data/landed").glob("*")
        if p.is_file()
    }


def test_all_rows_come_with_their_types(source: Source) -> None:
    source.put(rows(0, 25))
    frame = read(source)
    assert frame["ride id"].to_list() == list(range(25))
    assert frame.columns == list(rows(0, 1)[0])
    assert (frame["amount"].dtype, frame["amount"].null_count()) == (pl.Float64, 5)
    assert isinstance(frame["at"].dtype, pl.Datetime)
    assert frame["at"].cast(pl.Datetime("us")).to_list() == [row["at"] for row in rows(0, 25)]
    assert frame["name"][7] == 'Zoë, the "7"'
    assert frame["late"].sum() == 12


def test_the_second_time_only_new_rows_are_read(source: Source) -> None:
    source.put(rows(0, 25))
    read(source)
    before = landed()
    assert read(source).height == 25
    assert landed() == before
    source.put(rows(25, 31))  # row 25 has the time of row 24
    assert read(source)["ride id"].to_list() == list(range(31))
    changed = {name for name, stat in landed().items() if before.get(name) != stat}
    assert len(changed - {"etags.json"}) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interruption_leaves_nothing_half_written(source: Source, when: str) -> None:
    source.put(rows(0, 15))
    source.put(rows(15, 30))
    broken, calls = module(source.kind), []

    def replace(one: Path, other: Path) -> None:
        calls.append(other)
        if len(calls) < 2 or when == "after":
            one.replace(other)
        if len(calls) == 2:
            raise KeyboardInterrupt

    broken.os = type("Os", (), {**vars(os), "replace": staticmethod(replace)})  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        broken.ingest(source.address)
    assert (
        pl.concat([pl.scan_parquet(path) for path in broken.files(source.address)]).collect().height
    )
    assert read(source)["ride id"].unique().to_list() == list(range(30))


def test_a_source_that_is_down_is_one_clear_line_within_seconds(source: Source) -> None:
    source.put(rows(0, 15))
    read(source)
    before, started = landed(), time.monotonic()
    port = str(urlsplit(source.address).port)
    with pytest.raises(OSError, match="refused") as caught:
        module(source.kind).ingest(source.address.replace(port, str(free_port())))
    assert 1 < time.monotonic() - started < 15
    assert "sesame" not in str(caught.value)
    assert landed() == before


def test_landed_files_can_stand_in_for_the_server(source: Source, tmp_path: Path) -> None:
    """The rehearsal reads a copy of them, and so can a machine without access."""
    source.put(rows(0, 15))
    frame = read(source)
    shutil.copytree("data/landed", tmp_path / "copy")
    assert (
        module(source.kind).ingest(str(tmp_path / "copy")).collect().sort("ride id").equals(frame)
    )


# --- what one source promises -------------------------------------------------------------------


def test_postgres_refuses_a_wrong_password_without_saying_it(
    postgres: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGPASSWORD", "wrong-7919")
    Path("contract.yaml").write_text(CONTRACT)
    with pytest.raises(OSError, match="authentication failed") as caught:
        module("postgres").ingest(postgres.address)
    assert "7919" not in str(caught.value)
