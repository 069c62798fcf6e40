"""The parts of the stack as processes of this machine, under supervisord."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from . import config

CONF, SUPERVISOR, PROXY = map(Path, ("ops/derived/supervisord.conf", "run/supervisor.sock", "run/haproxy.sock"))
LOG = "run/logs/{}.log"


def begin() -> None:
    """Start all parts but the slots."""
    for program in ("haproxy", "prometheus"):
        if not shutil.which(program):
            raise config.Problem(f"up: {program} is not installed; bash deploy/local/tools.sh")
    if not CONF.exists():
        raise config.Problem(f"up: {CONF} not found; `make plan` writes it")
    for folder in ("logs", "blue", "green"):
        Path("run", folder).mkdir(parents=True, exist_ok=True)
    # A socket's path has at most 107 characters: by another name, this folder's has few.
    at = "/proc/self/cwd" if Path("/proc/self/cwd").exists() else str(Path.cwd())
    extra = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "BENTOML_DO_NOT_TRACK": "True", "HERE": at}
    if subprocess.run([sys.executable, "-m", "supervisor.supervisord", "-c", CONF], env=os.environ | extra).returncode:
        raise config.Problem("up: supervisord does not start, see above")
    while not runs():
        time.sleep(0.05)


def end() -> None:
    _ask("shutdown")
    while runs():
        time.sleep(0.1)


def runs() -> bool:
    """Return whether our supervisord runs."""
    try:
        return bool(_ask("getState"))
    except xmlrpc.client.Fault:  # it is on its way down
        return True
    except OSError:
        return False


def states() -> dict[str, str]:
    """Return the state of each part: running, stopped, exited, fatal, ..."""
    return {part["name"]: part["statename"].lower() for part in _ask("getAllProcessInfo")}


def start(slot: str) -> None:
    """Serve the release to which run/<slot>/release leads."""
    _ask("startProcess", slot, False)


def stop(slot: str) -> None:
    with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
        _ask("stopProcess", slot)


def log(name: str) -> str:
    return Path(LOG.format(name)).read_text(errors="replace")


def workers(slot: str) -> list[int]:
    """Return the process ids of a slot's serving processes."""
    found = []
    for child in psutil.Process(_ask("getProcessInfo", slot)["pid"]).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may be gone by now
            found += [child.pid] if "_bentoml_impl.worker.service" in child.cmdline() else []
    return found


def _ask(method: str, *words: Any) -> Any:
    """Call supervisord over its socket; raises xmlrpc.client.Fault when it refuses."""
    transport = SupervisorTransport(None, None, f"unix://{SUPERVISOR}")
    return getattr(xmlrpc.client.ServerProxy("http://localhost", transport).supervisor, method)(*words)
