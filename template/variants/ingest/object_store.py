"""Read the raw rows from CSV or Parquet files in S3, Google or Azure storage: only what changed is downloaded.

CSV files are UTF-8 with commas. What is gone from the storage goes from data/landed too. Credentials come from the
environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS (a file), or
AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY; or from the machine, if it runs in that cloud.
Replace the body of `ingest` with your own source; keep its signature.
"""

import json
import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import obstore
import polars as pl
from obstore.exceptions import BaseError
from obstore.store import from_url

LANDED = Path("data/landed")
KINDS = (".csv", ".parquet")
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-"]


def ingest(source: str) -> pl.LazyFrame:
    """Return the rows of every file, in the order of their names; they are read when they are asked for.

    `source` is s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, or a folder that holds landed files.
    Raises OSError when the storage cannot be read; what has landed by then stays.
    """
    if not Path(source).is_dir():
        try:
            _land(source)
        except BaseError as error:
            raise OSError(str(error).split("Debug source")[0].strip()) from error
    return pl.concat([_scan(path) for path in files(source)], how="vertical_relaxed")


def files(source: str) -> list[Path]:
    """Return the files that `ingest` reads once the changed ones have landed."""
    folder = Path(source) if Path(source).is_dir() else LANDED
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in KINDS)
    if not found:
        raise FileNotFoundError(f"{source}: no file that ends in {', '.join(KINDS)}")
    return found


def _land(source: str) -> None:
    """Download what has another etag than last time, each file whole or not at all; remove what is gone."""
    store = from_url(
        source,
        retry_config={
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=60),
            "backoff": {"init_backoff": timedelta(seconds=0.5), "max_backoff": timedelta(seconds=2), "base": 2},
        },
        client_options={
            "timeout": timedelta(minutes=10),
            # These options replace the environment's, so that one is read here: a storage of your own may have no TLS.
            "allow_http": "true" in (os.environ.get(f"{name}_ALLOW_HTTP") for name in ("AWS", "GOOGLE", "AZURE")),
        },
    )
    LANDED.mkdir(parents=True, exist_ok=True)
    etags = LANDED / "etags.json"
    known = json.loads(etags.read_text(encoding="utf-8")) if etags.exists() else {}
    there = {}
    for found in obstore.list(store).collect():
        name = quote(found["path"], safe="")
        if not name.lower().endswith(KINDS):
            continue
        there[name] = found["e_tag"] or f"{found['last_modified']} {found['size']}"
        if known.get(name) != there[name] or not (LANDED / name).exists():
            with (LANDED / "part.tmp").open("wb") as part:
                for chunk in obstore.get(store, found["path"]):
                    part.write(chunk)
            os.replace(LANDED / "part.tmp", LANDED / name)
            known[name] = there[name]
            _write(etags, known)
    for name in known.keys() - there.keys():
        (LANDED / name).unlink(missing_ok=True)
    if known != there:
        _write(etags, there)


def _write(path: Path, data: dict[str, str]) -> None:
    path.with_suffix(".tmp").write_text(json.dumps(data, indent=1), encoding="utf-8")
    path.with_suffix(".tmp").replace(path)


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix.lower() == ".parquet":
        return pl.scan_parquet(path)
    return pl.scan_csv(path, null_values=MISSING, infer_schema_length=None)
