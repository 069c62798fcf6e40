"""The production stack on this machine, under supervisord: two slots, proxy, monitoring. Loopback only."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import xmlrpc.client
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from . import config, proxy, releases
from .stages import read_json, write_json

CONF, SOCKET, SLOTS = Path("ops/derived/supervisord.conf"), Path("run/supervisor.sock"), Path("run/slots.json")
# What answers when a part is ready. A slot opens its port before its model is loaded: ask /readyz.
READY = {"blue": "/readyz", "green": "/readyz", "proxy": "/livez", "prometheus": "/-/ready"}
READY |= {"alertmanager": "/-/ready", "monitor": "/metrics"}


def up() -> None:
    """Start what does not run yet, wait until all is ready, and show it."""
    stable, serving = releases.stable() or releases.newest(), str(slots()["stable"])
    try:
        if not runs():
            _start_supervisor()
        start_slot(serving, stable)
        for name in [serving, *(name for name in READY if name not in ("blue", "green"))]:
            wait_ready(name)
        proxy.set_weights({serving: 100, other(serving): 0})
    except BaseException:
        down()
        raise
    if releases.stable() is None:
        releases.set_stable(stable)
        releases.record("deployed", release=stable)
    show()


def down() -> None:
    """Stop all that `up` started."""
    if runs():
        _ask("shutdown")
        while runs():
            time.sleep(0.1)
    write_json(SLOTS, slots() | {"blue": None, "green": None})


def show() -> None:
    """Print what runs, and where."""
    states = {p["name"]: p["statename"].lower() for p in _ask("getAllProcessInfo")} if runs() else {}
    for name in READY:
        what = str(slots().get(name) or "") + (" (stable)" if name == slots()["stable"] else "")
        print(f"{name:<14}{states.get(name, 'down'):<9}http://127.0.0.1:{port(name)}  {what}")


def slots() -> dict[str, str | None]:
    """Return the release in each slot, and which slot is `stable`."""
    return read_json(SLOTS) if SLOTS.exists() else {"blue": None, "green": None, "stable": "blue"}


def set_stable(slot: str) -> None:
    write_json(SLOTS, slots() | {"stable": slot})


def other(slot: str) -> str:
    return "green" if slot == "blue" else "blue"


def port(name: str) -> int:
    return int(getattr(config.params().ports, name))


def start_slot(slot: str, release: str) -> None:
    """Serve a release in a slot; what the slot served before is stopped first."""
    if slots()[slot] == release and _info(slot)["statename"] == "RUNNING":
        return
    stop_slot(slot)
    home = Path("run", slot)
    shutil.rmtree(home / "bentoml", ignore_errors=True)
    (home / "bentoml").mkdir(parents=True)
    (home / "release").unlink(missing_ok=True)
    (home / "release").symlink_to((releases.FOLDER / release / "bento").resolve())
    _ask("startProcess", slot, False)
    write_json(SLOTS, slots() | {slot: release})


def stop_slot(slot: str) -> None:
    with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
        _ask("stopProcess", slot)
    write_json(SLOTS, slots() | {slot: None})


def workers(slot: str) -> list[int]:
    """Return the process ids of a slot's serving processes."""
    found = []
    for child in psutil.Process(_info(slot)["pid"]).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may be gone by now
            if "_bentoml_impl.worker.service" in child.cmdline():
                found.append(child.pid)
    return found


def is_ready(name: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port(name)}{READY[name]}", timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return name == "proxy" and error.code == 503  # it is there; its slots are not yet
    except OSError:
        return False


def wait_ready(name: str, seconds: float = 30) -> None:
    deadline = time.time() + seconds
    while not is_ready(name):
        if time.time() > deadline or _info(name)["statename"] in ("FATAL", "EXITED"):
            lines = Path(f"run/logs/{name}.log").read_text(errors="replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
            raise config.Problem(f"up: {name} does not get ready: {last.strip()} (run/logs/{name}.log)")
        time.sleep(0.1)


def runs() -> bool:
    """Return whether our supervisord runs."""
    try:
        return bool(_ask("getState")["statename"])
    except xmlrpc.client.Fault:  # it is on its way down
        return True
    except OSError:
        return False


def _start_supervisor() -> None:
    for program in ("haproxy", "prometheus"):
        if not shutil.which(program):
            raise config.Problem(f"up: {program} is not installed; bash deploy/local/tools.sh")
    if not CONF.exists():
        raise config.Problem(f"up: {CONF} not found; `make plan` writes it")
    for name in READY:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port(name)))
            except OSError:
                way_out = f"free it, or change ports.{name} in params.yaml and run `make plan`"
                raise config.Problem(f"up: port {port(name)} for {name} is taken; {way_out}") from None
    for folder in ("logs", "blue/release", "green/release"):
        Path("run", folder).parent.mkdir(parents=True, exist_ok=True)
    Path("run/logs").mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    extra = {"PATH": path, "BENTOML_DO_NOT_TRACK": "True"}
    subprocess.run([sys.executable, "-m", "supervisor.supervisord", "-c", CONF], env=os.environ | extra, check=True)
    while not runs():
        time.sleep(0.05)


def _info(name: str) -> dict[str, Any]:
    return dict(_ask("getProcessInfo", name))


def _ask(method: str, *words: Any) -> Any:
    """Call supervisord over its socket; raises xmlrpc.client.Fault when it refuses."""
    transport = SupervisorTransport(None, None, f"unix://{SOCKET}")
    return getattr(xmlrpc.client.ServerProxy("http://localhost", transport).supervisor, method)(*words)
