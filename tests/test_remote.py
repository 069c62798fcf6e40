"""The DVC remote, for real: one clone pushes, another pulls, and then all is up to date."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import boto3
import pytest
from azure.storage.blob import BlobServiceClient

from conftest import commit_all, git, make
from servers import AZURE_KEY, PASSWORD, free_port, serving
from test_copier import UV

pytestmark = pytest.mark.slow
SECRETS = [PASSWORD, AZURE_KEY, "PRIVATE KEY"]
CLIENTS = ["dvc-s3", "dvc-gs", "dvc-azure", "dvc-ssh", "obstore", "psycopg[binary]", "redis"]
AS_IT_IS = ["-o", ".venv/ready"]  # the clones share the environment of the first


class Remote(NamedTuple):
    """A remote as a test sees it: what is answered, and what a colleague sets on the machine."""

    url: str
    environment: dict[str, str]
    settings: dict[str, str]


@pytest.fixture(scope="module")
def first(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which everything has run; its environment has the clients of all remotes."""
    make(project, "package", minutes=5)
    python, pins = project / ".venv/bin/python", project / "constraints.txt"
    install = [UV, "pip", "install", "--quiet", "--python", python, "--constraint", pins, *CLIENTS]
    subprocess.run(install, check=True)
    subprocess.run([UV, "pip", "check", "--python", python], check=True)
    root = tmp_path_factory.mktemp("remote") / "first"
    shutil.copytree(project, root, ignore=shutil.ignore_patterns(".venv", "run", ".rehearsal"))
    (root / ".venv").symlink_to(project / ".venv")
    (root / ".git/info/exclude").write_text("/.venv\n")
    commit_all(root)
    return root


def second(first: Path, root: Path) -> Path:
    """Clone the first as a colleague would."""
    git(root.parent, "clone", "--quiet", str(first), str(root))
    (root / ".venv").symlink_to((first / ".venv").resolve())
    return root


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a verb of the emitted repo, and show what it says."""
    command = [root / ".venv/bin/python", "-m", "late_flights.production", *words]
    environment = {**os.environ, "PYTHONPATH": "src"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def up_to_date(root: Path) -> bool:
    command = [root / ".venv/bin/python", "-m", "dvc", "status"]
    said = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return "up to date" in said


def move(root: Path, url: str, render: Callable[..., Path]) -> None:
    """Give the repo the remote that this answer to the interview gives."""
    shutil.copy(render(remote_url=url) / ".dvc/config", root / ".dvc/config")
    commit_all(root, "another remote")


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a refusal."""
    assert done.returncode == 1, done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    assert not any(secret in done.stderr for secret in SECRETS)
    return done.stderr


# --- the remotes --------------------------------------------------------------------------------


@pytest.fixture
def folder() -> Remote:
    return Remote(f"../storage-{uuid.uuid4()}", {}, {})


@pytest.fixture
def s3(request: pytest.FixtureRequest) -> Remote:
    address, bucket = f"http://127.0.0.1:{request.getfixturevalue('s3_port')}", "versions"
    key = {"aws_access_key_id": "ada", "aws_secret_access_key": "sesame-7919"}
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1", **key)
    client.create_bucket(Bucket=bucket)
    environment = {name.upper(): value for name, value in key.items()}
    return Remote(f"s3://{bucket}/a", {**environment, "AWS_ENDPOINT_URL": address}, {})


@pytest.fixture
def gs(request: pytest.FixtureRequest) -> Remote:
    address = f"http://127.0.0.1:{request.getfixturevalue('google_port')}"
    body, kind = json.dumps({"name": "versions"}).encode(), {"Content-Type": "application/json"}
    with urlopen(Request(f"{address}/storage/v1/b?project=p", body, kind)) as answer:
        assert answer.status == 200
    return Remote("gs://versions/a", {"STORAGE_EMULATOR_HOST": address}, {})


@pytest.fixture
def azure(request: pytest.FixtureRequest) -> Remote:
    address = f"http://127.0.0.1:{request.getfixturevalue('azure_port')}/ada"
    BlobServiceClient(address, credential=AZURE_KEY).create_container("versions")
    login = f"AccountName=ada;AccountKey={AZURE_KEY};BlobEndpoint={address};"
    return Remote("azure://versions/a", {"AZURE_STORAGE_CONNECTION_STRING": login}, {})


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Remote]:
    """Start an OpenSSH server of our own, on a free port, with keys to throw away."""
    for name in ("host", "user"):
        make_key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name]
        subprocess.run(make_key, check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # root's server locks itself into it
    settings = {"HostKey": tmp_path / "host", "AuthorizedKeysFile": tmp_path / "user.pub"}
    settings |= {"StrictModes": "no", "UsePAM": "no", "PasswordAuthentication": "no"}
    settings |= {"PidFile": "none", "Subsystem": "sftp internal-sftp", "ListenAddress": "127.0.0.1"}
    options = [f"-o{name}={value}" for name, value in settings.items()]
    server = shutil.which("sshd") or "/usr/sbin/sshd"
    with serving(server, "-D", "-e", "-f", "/dev/null", "-p", "{port}", *options) as port:
        url = f"ssh://127.0.0.1:{port}{tmp_path}/storage"
        yield Remote(url, {}, {"keyfile": str(tmp_path / "user")})


@pytest.fixture(params=["folder", "s3", "gs", "azure", "ssh"])
def remote(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Remote:
    made: Remote = request.getfixturevalue(request.param)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


# --- what every remote promises -----------------------------------------------------------------


def test_one_clone_pushes_and_another_pulls(
    remote: Remote, first: Path, render: Callable[..., Path], tmp_path: Path
) -> None:
    move(first, remote.url, render)
    other = second(first, first.parent / uuid.uuid4().hex)
    for root in (first, other):
        for name, value in remote.settings.items():
            command = ["dvc", "remote", "modify", "--local", "storage", name, value]
            subprocess.run([root / ".venv/bin/python", "-m", *command], cwd=root, check=True)
    assert "the remote has what dvc.lock and 1 releases need" in make(first, *AS_IT_IS, "push")
    make(other, *AS_IT_IS, "pull")
    assert up_to_date(other)
    for root in (first, other):
        tracked = [root / name for name in git(root, "ls-files").splitlines()]
        assert not any(s in path.read_text() for s in SECRETS for path in tracked)
        assert git(root, "status", "--porcelain", "--", ".dvc", "kept.dvc") == ""
        (root / ".dvc/config.local").unlink(missing_ok=True)


# --- what is said when it does not go -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["s3", "ssh"])
def test_without_credentials_or_server_it_is_one_line(
    kind: str, first: Path, render: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(first.parent))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    url = {"s3": "s3://versions/a", "ssh": f"ssh://127.0.0.1:{free_port()}/srv"}[kind]
    move(first, url, render)
    reason = {"s3": "locate credentials", "ssh": "Connect call failed"}[kind]
    assert reason in refused(run(first, "push"))


def test_what_a_release_needs_may_lie_at_the_remote_alone(
    first: Path, render: Callable[..., Path]
) -> None:
    """Newer data has replaced it in dvc.lock, and the cache has lost it."""
    move(first, f"../storage-{uuid.uuid4()}", render)
    cache, lock = first / ".dvc/cache", (first / "dvc.lock").read_text()
    shutil.copytree(cache, first / "run/cache")
    (first / "dvc.lock").unlink()  # nothing but the release names its data now
    assert run(first, "push").returncode == 0
    shutil.rmtree(cache / "files")
    assert run(first, "gc").returncode == 0
    assert run(first, "pull").returncode == 0
    same = sorted(path.name for path in (first / "run/cache/files/md5").glob("*/*"))
    assert sorted(path.name for path in cache.glob("files/md5/*/*")) == same
    # The list of a folder's files is nowhere: DVC passes it over, gc must not.
    (folder,) = cache.glob("files/md5/*/*.dir")
    for place in (first.parent.glob("storage-*/files/md5/*/*.dir"), [folder]):
        for path in place:
            path.unlink()
    assert "model, which is neither in" in refused(run(first, "gc"))
    assert len(list(cache.glob("files/md5/*/*"))) == len(same) - 1
    (first / "dvc.lock").write_text(lock)
    shutil.rmtree(cache)
    shutil.move(first / "run/cache", cache)
