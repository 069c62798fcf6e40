"""Every source against a real server: all rows, then new ones only; nothing half-written."""

import csv
import importlib.util
import os
import shutil
import time
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import obstore
import polars as pl
import pytest
import redis
from obstore.store import from_url

from conftest import ROOT
from servers import AZURE_KEY, PASSWORD, free_port
from sources import Source, as_text, rows

pytestmark = pytest.mark.slow
CONTRACT = "dataset: rides\nid: ride id\ntime: at\ncolumns: {amount: {type: number}}\n"


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


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("contract.yaml").write_text(CONTRACT)


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
    at = frame["at"].str.to_datetime() if frame["at"].dtype == pl.String else frame["at"]
    assert at.cast(pl.Datetime("us")).to_list() == [row["at"] for row in rows(0, 25)]
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
    assert broken.ingest("data/landed").collect().height > 0
    assert read(source)["ride id"].unique().to_list() == list(range(30))


def test_a_source_that_is_down_is_one_clear_line_within_seconds(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.put(rows(0, 15))
    read(source)
    before, started = landed(), time.monotonic()
    port, closed = str(urlsplit(source.address).port), str(free_port())
    for name in ("AWS_ENDPOINT_URL", "GOOGLE_BASE_URL", "AZURE_STORAGE_ENDPOINT"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed}")
    with pytest.raises(OSError, match=closed) as caught:
        module(source.kind).ingest(source.address.replace(port, closed))
    assert 1 < time.monotonic() - started < 15
    assert PASSWORD not in str(caught.value)
    assert AZURE_KEY not in str(caught.value)
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
    postgres: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong-7919")
    Path("contract.yaml").write_text(CONTRACT)
    with pytest.raises(OSError, match="authentication failed") as caught:
        module("postgres").ingest(postgres.address)
    assert "7919" not in str(caught.value)


def test_postgres_finds_what_came_later_with_the_time_of_the_last_row(postgres: Source) -> None:
    postgres.put(rows(0, 25))
    read(postgres)
    postgres.put([{**rows(24, 25)[0], "ride id": -1}, {**rows(1, 2)[0], "ride id": -2, "at": None}])
    assert read(postgres)["ride id"].to_list() == list(range(-1, 25))


def test_a_stream_gives_the_bytes_that_a_csv_file_gives(stream: Source) -> None:
    with Path("rides.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows(0, 1)[0])
        writer.writerows([as_text(value) for value in row.values()] for row in rows(0, 200))
    stream.put(rows(0, 200))
    made = {"stream": stream.address, "files": "rides.csv"}
    for kind, address in made.items():
        module(kind).ingest(address).collect().sort("at", "ride id").write_parquet(
            f"{kind}.parquet"
        )
    assert Path("stream.parquet").read_bytes() == Path("files.parquet").read_bytes()


def test_a_poisoned_entry_goes_to_the_dead_letters_once_with_the_reason(
    stream: Source, redis_port: int
) -> None:
    client = redis.Redis(port=redis_port, password=PASSWORD, protocol=2)
    good = {name: as_text(value) for name, value in rows(1, 2)[0].items()}
    poison = {
        "ride id is missing": {**good, "ride id": ""},
        "Invalid isoformat string: 'soon'": {**good, "at": "soon"},
        "could not convert string to float: 'much'": {**good, "amount": "much"},
        "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte": {"name": b"\xff"},
    }
    stream.put(rows(0, 5))
    for fields in poison.values():
        client.xadd("rides", fields)  # type: ignore[arg-type]
    stream.put(rows(5, 25))
    for _ in range(2):
        assert read(stream)["ride id"].to_list() == list(range(25))
    dead: Any = client.xrange("rides:dead")
    assert [fields[b"_reason"].decode() for _, fields in dead] == list(poison)
    assert dead[1][1][b"at"] == b"soon"
    groups: Any = client.xinfo_groups("rides")
    assert [group["pending"] for group in groups] == [0]


def test_a_run_is_bounded_and_a_lost_folder_is_read_again(stream: Source) -> None:
    stream.put(rows(0, 45))
    short = module("stream")
    short.BATCHES = 3  # type: ignore[attr-defined]
    assert (
        short.ingest(stream.address).collect().height == 20
    )  # the first looks for what was pending
    assert read(stream).height == 45
    shutil.rmtree("data/landed")
    assert read(stream).height == 45


def test_an_object_that_changed_is_read_again_and_one_that_went_is_forgotten(
    object_store: Source,
) -> None:
    object_store.put(rows(0, 10))
    object_store.put(rows(10, 20))
    read(object_store)
    before = landed()
    object_store.put(rows(10, 25))
    assert read(object_store).height == 25
    unchanged = "000%2Frides.csv"
    assert (landed()[unchanged], len(landed())) == (before[unchanged], len(before))
    store = from_url(object_store.address, client_options={"allow_http": True})
    obstore.delete(store, "000/rides.csv")
    assert read(object_store)["ride id"].to_list() == list(range(10, 25))
