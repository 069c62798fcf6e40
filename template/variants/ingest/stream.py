"""Read the raw rows from a Redis stream: one entry is one row, its fields are columns as text (times in ISO 8601).

Each run takes what is new, at least once: an entry is acknowledged after its file is on disk, so a row may land twice
after a crash, and counts once (by the contract's id). An entry that can be no row goes to the stream `<name>:dead`
with the reason. Password and user come from the environment (REDIS_PASSWORD, REDIS_USERNAME).
Replace the body of `ingest` with your own source; keep its signature.
"""

import io
import os
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

import polars as pl
import redis
import yaml
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

LANDED = Path("data/landed")
BATCH, BATCHES = 10_000, 1000  # entries in a file, and files in a run at most
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-"]


def ingest(source: str) -> pl.LazyFrame:
    """Return all rows that ever came, the new ones included, with types as a CSV file of them would get.

    `source` is redis://host/0#stream, or a folder that holds landed files. Raises OSError when the server cannot be
    read, ValueError when the contract names no id or time; what has landed by then stays.
    """
    if not Path(source).is_dir():
        try:
            _land(source)
        except redis.RedisError as error:
            raise OSError(str(error)) from error
    text = pl.concat([pl.read_parquet(path) for path in files(source)], how="diagonal")
    data = io.BytesIO(text.write_csv().encode())
    return pl.scan_csv(data, null_values=MISSING, infer_schema_length=None)


def files(source: str) -> list[Path]:
    """Return the files that `ingest` reads once the new rows have landed."""
    folder = Path(source) if Path(source).is_dir() else LANDED
    found = sorted(folder.glob("*.parquet"))
    if not found:
        raise FileNotFoundError(f"{source}: no row has come yet")
    return found


def _land(source: str) -> None:
    """Write what is new as Parquet files of text, a batch each, then acknowledge it."""
    contract = yaml.safe_load(Path("contract.yaml").read_text(encoding="utf-8"))
    if not contract.get("id") or not contract.get("time"):
        raise ValueError("contract.yaml names no id or no time, and every entry needs both")
    url, stream = urldefrag(source)
    # The place in the stream belongs to the folder: another folder, or one that was lost, starts from the beginning.
    LANDED.mkdir(parents=True, exist_ok=True)
    group = LANDED / "group.txt"
    if not group.exists():
        group.write_text(f"{contract['dataset']}-{uuid.uuid4()}", encoding="utf-8")
    name = group.read_text(encoding="utf-8")
    client: Any = redis.Redis.from_url(
        url,
        username=os.environ.get("REDIS_USERNAME"),
        password=os.environ.get("REDIS_PASSWORD"),
        protocol=2,
        socket_timeout=30,
        socket_connect_timeout=5,
        retry=Retry(ExponentialBackoff(cap=2, base=0.5), retries=3),
    )
    try:
        client.xgroup_create(stream, name, id="0")
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):  # it is there already
            raise
    start = "0"  # what was delivered before and not acknowledged; after that, what is new
    for _ in range(BATCHES):
        [(_, entries)] = client.xreadgroup(name, "ingest", {stream: start}, count=BATCH) or [(stream, [])]
        if not entries and start == ">":
            break
        rows, dead = [], []
        for key, fields in entries:
            try:
                rows.append(_row(fields, contract))
            except ValueError as error:
                dead.append({**(fields or {}), "_entry": key, "_reason": str(error)})
        if rows:
            frame = pl.DataFrame(rows, schema={column: pl.String for row in rows for column in row})
            frame.write_parquet(LANDED / "part.tmp")
            os.replace(LANDED / "part.tmp", LANDED / f"{time.time_ns()}.parquet")
        with client.pipeline(transaction=True) as both:
            for fields in dead:
                both.xadd(f"{stream}:dead", fields)
            if entries:
                both.xack(stream, name, *(key for key, _ in entries))
            both.execute()
        if not entries:
            start = ">"


def _row(fields: dict[bytes, bytes] | None, contract: dict[str, Any]) -> dict[str, str]:
    """Return an entry as text by column; ValueError says why it can be no row of the contract."""
    row = {name.decode(): value.decode() for name, value in (fields or {}).items()}
    for name in (contract["id"], contract["time"]):
        if row.get(name, "") in MISSING:
            raise ValueError(f"{name} is missing")
    datetime.fromisoformat(row[contract["time"]])
    for name, column in contract["columns"].items():
        number = column["type"] in ("integer", "number") and not column.get("unit")
        if number and row.get(name, "") not in MISSING:
            float(row[name])
    return row
