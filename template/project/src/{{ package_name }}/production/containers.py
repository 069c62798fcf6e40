"""The parts of the stack as containers on this host: what processes.py does under supervisord, compose does here."""

import os
import shutil
import subprocess
from pathlib import Path

from . import config

FILE, PROXY = "ops/derived/compose/compose.yaml", Path("run/proxy/haproxy.sock")
NAME = Path(__file__).parents[1].name.replace("_", "-")
ENGINE = os.environ.get("ENGINE") or next(filter(shutil.which, ("docker", "podman")), "docker")
LOG = f"{ENGINE} logs {NAME}-{{}}"
SLOTS, OTHERS = ("blue", "green"), ("proxy", "prometheus", "alertmanager", "grafana", "monitor")


def begin() -> None:
    """Start all parts but the slots."""
    for folder in ("run/proxy", "run/blue", "run/green", "reports"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:  # no container runs as root, and each writes here
        subprocess.run(["chown", "-R", _user(), "run", "reports"], check=True)
    _compose("up", "--detach", *OTHERS)


def end() -> None:
    _compose("down")


def runs() -> bool:
    """Return whether there is a container of ours, be it one that has stopped."""
    return bool(states())


def states() -> dict[str, str]:
    """Return the state of each part that there is: running, exited, ..."""
    found = {part: _engine("inspect", "--format", "{{.State.Status}}", f"{NAME}-{part}") for part in SLOTS + OTHERS}
    return {part: done.stdout.strip() for part, done in found.items() if not done.returncode}


def start(slot: str) -> None:
    """Serve the release to which run/<slot>/release leads, from its image; one that is not here is built."""
    release = _release(slot)
    missing = _engine("image", "inspect", f"{NAME}:{release}").returncode
    if missing and subprocess.run(["bash", "deploy/container/image.sh", NAME, release]).returncode:
        raise config.Problem(f"image: {NAME}:{release} cannot be built; see above")
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", _user(), f"run/{slot}"], check=True)
    _compose("up", "--detach", "--no-deps", slot)


def stop(slot: str) -> None:
    _engine("stop", f"{NAME}-{slot}")  # as slowly as its answers need
    _engine("rm", "--force", f"{NAME}-{slot}")


def log(name: str) -> str:
    done = _engine("logs", f"{NAME}-{name}")
    return done.stdout + done.stderr


def _release(slot: str) -> str:
    link = Path("run", slot, "release")
    return link.resolve().parent.name if link.is_symlink() else "none"


def _user() -> str:
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() else "10001:10001"


def _engine(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ENGINE, *words], capture_output=True, text=True)


def _compose(*words: str) -> None:
    """Run compose with the releases that the slots hold."""
    program = ["podman-compose"] if ENGINE == "podman" and shutil.which("podman-compose") else [ENGINE, "compose"]
    slots = {slot.upper(): _release(slot) for slot in SLOTS}
    command = [*program, "--file", FILE, *words]
    done = subprocess.run(command, env=os.environ | slots | {"RUN_AS": _user()}, capture_output=True, text=True)
    if done.returncode:
        raise config.Problem(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-300:]}")
