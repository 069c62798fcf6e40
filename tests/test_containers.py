"""The image of a release: built, started without rights, asked; and the Deployment, by podman."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, make
from manifests import kustomize, named, run
from servers import free_port, listen_elsewhere

pytestmark = pytest.mark.slow

# Of a machine without systemd, and of tests that may run in a container themselves.
CONTAINERS = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
"""
STORAGE = '[storage]\ndriver = "overlay"\nrunroot = "{0}/run"\ngraphroot = "{0}/storage"\n'
BASE = "docker.io/library/python:3.11-slim"
HARDENED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp"]


@pytest.fixture(scope="module", autouse=True)
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """podman with a store of its own, in which the base image is made."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "containers.conf").write_text(CONTAINERS)
    (folder / "storage.conf").write_text(STORAGE.format(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(folder / "containers.conf"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
        patch.setenv("BUILDER", "buildah")
        patch.setenv("BUILD_OPTIONS", "--isolation=chroot --network=host --pull=never")
        run(ROOT / "tools/base.sh", BASE)
        yield
        run("podman", "system", "reset", "--force")


@pytest.fixture(scope="module")
def released(
    project: Path, render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project for Kubernetes with the default project's release, at ports that nobody uses."""
    make(project, "package", minutes=10)
    root = tmp_path_factory.mktemp("released") / "project"
    shutil.copytree(render(target="kubernetes"), root)
    for name in ("releases", "reports"):
        shutil.copytree(project / name, root / name)
    (root / "data").mkdir()
    shutil.copy(project / "data/history.sqlite", root / "data")
    listen_elsewhere(root / "params.yaml")
    shell = os.environ | {"PYTHONPATH": "src"}
    subprocess.run(
        [project / ".venv/bin/python", "-m", "late_flights.production", "plan"],
        cwd=root,
        env=shell,
        check=True,
    )
    return root


@pytest.fixture(scope="module")
def release(released: Path) -> str:
    return str(json.loads((released / "reports/package.json").read_text())["release"])


@pytest.fixture(scope="module")
def image(released: Path, release: str) -> str:
    done = subprocess.run(
        ["bash", "deploy/container/image.sh", "late-flights"],
        cwd=released,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    print(done.stdout.splitlines()[-1])
    return f"localhost/late-flights:{release}"


def ask(port: int, path: str, body: object = None) -> dict[str, object]:
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=10) as answer:
        return dict(json.loads(answer.read() or b"{}"))


def wait_ready(port: int, log: Callable[[], str]) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(log())


def test_a_request_is_answered_from_inside(image: str, release: str, released: Path) -> None:
    port = free_port()
    options = [
        *HARDENED,
        "--network=host",
        f"--env=BENTOML_PORT={port}",
        "--env=HISTORY=/data/history.sqlite",
    ]
    options += [f"--volume={released / 'data'}:/data:ro", "--name=one"]
    run("podman", "run", "--detach", *options, image)
    wait_ready(port, lambda: run("podman", "logs", "one"))
    example = ask(port, "/metadata")["example"]
    answer = ask(port, "/predict", example)
    assert answer["release"] == release
    assert "degraded" not in answer
    run("podman", "healthcheck", "run", "one")
    # It is nobody, and can neither write nor build.
    assert run("podman", "exec", "one", "id", "-u").strip() == "10001"
    for refused in (["touch", "/release/x"], ["gcc"], ["make"], ["pip"], ["uv"], ["git"]):
        assert subprocess.run(["podman", "exec", "one", *refused], capture_output=True).returncode
    start = time.time()
    run("podman", "stop", "--time=60", "one")
    assert time.time() - start < 30  # it stops when it is told


def test_the_image_holds_the_release_and_no_secret(
    image: str, release: str, released: Path
) -> None:
    about = json.loads(run("podman", "image", "inspect", image))[0]
    assert about["Labels"]["release"] == release
    assert about["User"] == "10001:10001"
    assert not [
        name
        for name in about["Config"]["Env"]
        if "PASS" in name or "KEY" in name or "TOKEN" in name
    ]
    listed = run("podman", "run", "--rm", "--network=host", image, "find", "/release", "-type", "f")
    inside = {line.removeprefix("/release/") for line in listed.split()}
    bento = released / f"releases/{release}/bento"
    assert inside == {
        path.relative_to(bento).as_posix() for path in bento.rglob("*") if path.is_file()
    }


def test_the_deployment_runs(image: str, release: str, released: Path, tmp_path: Path) -> None:
    documents = kustomize(released / "ops/derived/kubernetes/base")
    for name in ("PersistentVolumeClaim/work", "Deployment/service"):
        (document,) = [each for each in documents if named(each) == name]
        text = yaml.safe_dump(document).replace("image: late-flights\n", f"image: {image}\n")
        (tmp_path / document["kind"]).write_text(text)
    run("podman", "play", "kube", tmp_path / "PersistentVolumeClaim")
    volume = Path(run("podman", "volume", "inspect", "--format={{.Mountpoint}}", "work").strip())
    # This podman knows no subPath: it mounts the whole volume in each place.
    shutil.copy(released / "data/history.sqlite", volume)
    volume.chmod(0o777)
    run("podman", "play", "kube", tmp_path / "Deployment")
    port = yaml.safe_load((released / "params.yaml").read_text())["ports"]["blue"]
    name = "service-pod-0-service"
    wait_ready(port, lambda: run("podman", "logs", name))
    answer = ask(port, "/predict", ask(port, "/metadata")["example"])
    assert (answer["release"], "degraded" in answer) == (release, False)
    about = json.loads(run("podman", "inspect", name))[0]
    assert about["HostConfig"]["ReadonlyRootfs"]
    assert about["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    assert about["HostConfig"]["Memory"] == 1024 << 20
    assert run("podman", "exec", name, "id", "-u").strip() == "10001"
    run("podman", "play", "kube", "--down", tmp_path / "Deployment")
