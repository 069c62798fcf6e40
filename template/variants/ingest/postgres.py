"""Read the raw rows from a PostgreSQL table: each run fetches what is newer than what it already has.

The time of the contract is the cursor. A row that is written with an older time, or changes after it was read, is
not seen; delete data/landed to read all again. A row without a time is not read: nothing says whether it is new.
Credentials come from the environment (PGUSER, PGPASSWORD, PGSSLMODE) or ~/.pgpass.
Replace the body of `ingest` with your own source; keep its signature.
"""

import os
import time
from pathlib import Path
from urllib.parse import urldefrag

import polars as pl
import psycopg
import yaml
from psycopg import sql
from psycopg.types.numeric import FloatLoader
from psycopg.types.string import TextLoader

LANDED = Path("data/landed")
BATCH = 100_000
PAUSES = (0.5, 1, 2)  # seconds between the tries


def ingest(source: str) -> pl.LazyFrame:
    """Return all rows that were ever read, the new ones included, in the order of time.

    `source` is postgresql://host/database#schema.table, or a folder that holds landed files. Raises OSError when the
    server cannot be read, ValueError when the contract names no id or time; what has landed by then stays.
    """
    if not Path(source).is_dir():
        for pause in (*PAUSES, None):
            try:
                _land(source)
                break
            except psycopg.Error as error:
                if pause is None or not isinstance(error, psycopg.OperationalError):
                    raise OSError(str(error).strip()) from error
                time.sleep(pause)
    return pl.concat([pl.scan_parquet(path) for path in files(source)], how="diagonal_relaxed")


def files(source: str) -> list[Path]:
    """Return the files that `ingest` reads once the new rows have landed."""
    folder = Path(source) if Path(source).is_dir() else LANDED
    found = sorted(folder.glob("*.parquet"))
    if not found:
        raise FileNotFoundError(f"{source}: no row has come yet")
    return found


def _land(source: str) -> None:
    """Append what is new as Parquet files, a batch each: one snapshot, in the order of time and id."""
    contract = yaml.safe_load(Path("contract.yaml").read_text(encoding="utf-8"))
    if not contract.get("id") or not contract.get("time"):
        raise ValueError("contract.yaml names no id or no time, and new rows are told by both")
    url, table = urldefrag(source)
    names = {"table": sql.Identifier(*table.split(".")), "id": sql.Identifier(contract["id"])}
    names["time"] = sql.Identifier(contract["time"])
    query = sql.SQL("SELECT * FROM {table} WHERE {time} IS NOT NULL").format(**names)
    values = []
    if parts := sorted(LANDED.glob("*.parquet")):
        # Rows of the same instant may come in two runs: those that are here are told by their ids.
        seen = pl.concat([pl.scan_parquet(p).select(contract["id"], contract["time"]) for p in parts])
        last = seen.filter(pl.col(contract["time"]) == pl.col(contract["time"]).max()).collect()
        values = [last[contract["time"]][0], last[contract["time"]][0], last[contract["id"]].cast(pl.String).to_list()]
        query += sql.SQL(" AND {time} >= %s AND NOT ({time} = %s AND {id}::text = ANY(%s))").format(**names)
    query += sql.SQL(" ORDER BY {time}, {id}").format(**names)
    with psycopg.connect(url, connect_timeout=5, options="-c timezone=UTC") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.adapters.register_loader("numeric", FloatLoader)
        connection.adapters.register_loader("uuid", TextLoader)
        with connection.cursor(name="ingest") as cursor:
            cursor.execute(query, values)
            while rows := cursor.fetchmany(BATCH):
                columns = [column.name for column in cursor.description or []]
                frame = pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)
                LANDED.mkdir(parents=True, exist_ok=True)
                frame.write_parquet(LANDED / "part.tmp")
                os.replace(LANDED / "part.tmp", LANDED / f"{time.time_ns()}.parquet")
