"""The sources under test, each on a real server, and the rows that come into them."""

import datetime
import io
import json
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import boto3
import polars as pl
import psycopg
import pytest
import redis
from azure.storage.blob import BlobServiceClient

from servers import AZURE_KEY, PASSWORD

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


def as_text(value: object) -> str:
    return "" if value is None else str(value)


@pytest.fixture
def postgres(postgres_port: int, monkeypatch: pytest.MonkeyPatch) -> Source:
    for name, value in {"PGUSER": "ada", "PGPASSWORD": PASSWORD}.items():
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


@pytest.fixture
def stream(redis_port: int, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv("REDIS_PASSWORD", PASSWORD)
    client = redis.Redis(port=redis_port, password=PASSWORD)
    client.flushall()

    def put(new: Rows) -> None:
        for row in new:
            client.xadd("rides", {name: as_text(value) for name, value in row.items()})

    return Source("stream", f"redis://127.0.0.1:{redis_port}/0#rides", put)


@pytest.fixture
def s3(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Source:
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "ada",
        "AWS_SECRET_ACCESS_KEY": PASSWORD,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    client, bucket = boto3.client("s3"), f"lake-{uuid.uuid4()}"
    client.create_bucket(Bucket=bucket)
    return objects(
        f"s3://{bucket}/raw",
        lambda name, body: client.put_object(Bucket=bucket, Key=f"raw/{name}", Body=body),
    )


@pytest.fixture
def google(google_port: int, monkeypatch: pytest.MonkeyPatch) -> Source:
    url, bucket = f"http://127.0.0.1:{google_port}", f"lake-{uuid.uuid4()}"
    settings = {
        "GOOGLE_BASE_URL": url,
        "GOOGLE_ALLOW_HTTP": "true",
        "GOOGLE_BEARER_TOKEN": PASSWORD,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def post(path: str, body: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        with urlopen(Request(f"{url}{path}", body, headers, method="POST")) as answer:
            assert answer.status == 200

    post("/storage/v1/b?project=p", json.dumps({"name": bucket}).encode())
    upload = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name=raw/"
    return objects(f"gs://{bucket}/raw", lambda name, body: post(upload + name, body))


@pytest.fixture
def azure(azure_port: int, monkeypatch: pytest.MonkeyPatch) -> Source:
    url = f"http://127.0.0.1:{azure_port}/ada"
    settings = {
        "AZURE_STORAGE_ENDPOINT": url,
        "AZURE_ALLOW_HTTP": "true",
        "AZURE_STORAGE_ACCOUNT_NAME": "ada",
        "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    name = f"lake-{uuid.uuid4()}"
    client = BlobServiceClient(url, credential=AZURE_KEY).create_container(name)
    return objects(
        f"az://{name}/raw",
        lambda name, body: client.upload_blob(f"raw/{name}", body, overwrite=True),
    )


def objects(address: str, write: Callable[[str, bytes], object]) -> Source:
    """Return a bucket as a source; `write` puts one object under its prefix."""

    def put(new: Rows) -> None:
        """Write an object of CSV or of Parquet, in turn."""
        kind = "parquet" if new[0]["ride id"] == 15 else "csv"
        body = io.BytesIO()
        getattr(pl.DataFrame(new), f"write_{kind}")(body)
        write(f"{new[0]['ride id']:03}/rides.{kind}", body.getvalue())

    return Source("object_store", address, put)


@pytest.fixture(params=["s3", "google", "azure"])
def object_store(request: pytest.FixtureRequest) -> Source:
    made: Source = request.getfixturevalue(request.param)
    return made


@pytest.fixture(params=["s3", "google", "azure", "postgres", "stream"])
def source(request: pytest.FixtureRequest) -> Source:
    made: Source = request.getfixturevalue(request.param)
    return made
