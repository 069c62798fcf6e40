"""The production stack on this machine, under supervisord: two slots, proxy, monitoring. Loopback only."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from . import config, releases

CONF, SUPERVISOR, PROXY = map(Path, ("ops/derived/supervisord.conf", "run/supervisor.sock", "run/haproxy.sock"))
# What answers when a part is ready. A slot opens its port before its model is loaded: ask /readyz.
READY = {"blue": "/readyz", "green": "/readyz", "proxy": "/livez", "prometheus": "/-/ready"}
WHY = re.compile(r"[\w.]+(Error|Problem|Exception): ")  # the last line of a traceback
READY |= {"alertmanager": "/-/ready", "monitor": "/metrics"}


def up() -> None:
    """Start what does not run yet, wait until all is ready, and show it."""
    first, stable = releases.stable() is None, releases.stable() or releases.newest()
    try:
        if not runs():
            _start_supervisor()
        serving = serving_slot()
        start_slot(serving, stable)
        for name in [serving, *list(READY)[2:]]:
            wait_ready(name)
        set_weights({serving: 100, other(serving): 0})
    except BaseException:
        down()
        raise
    if first:
        releases.record("deployed", release=stable)
    status()


def down() -> None:
    """Stop all that `up` started."""
    if runs():
        _ask("shutdown")
        while runs():
            time.sleep(0.1)


def status() -> None:
    """Print what runs, and where."""
    states = {p["name"]: p["statename"].lower() for p in _ask("getAllProcessInfo")} if runs() else {}
    for name in READY:
        line = f"{name:<14}{states.get(name, 'down'):<9}http://127.0.0.1:{port(name)}  {release_in(name) or ''}"
        print(line.rstrip())


def release_in(slot: str) -> str | None:
    """Return the release that a slot was last given."""
    link = Path("run", slot, "release")
    return link.resolve().parent.name if link.is_symlink() else None


def serving_slot() -> str:
    """Return the slot of the stable release."""
    return "green" if (release_in("green") or "nothing") == releases.stable() else "blue"


def other(slot: str) -> str:
    return "green" if slot == "blue" else "blue"


def port(name: str) -> int:
    return int(getattr(config.params().ports, name))


def set_weights(weights: dict[str, int]) -> None:
    """Give each slot its share of new requests, in percent, through the proxy's runtime socket.

    Who gets a share was seen ready: the proxy is told, and does not wait for its own next check.
    """
    for slot, weight in weights.items():
        health = f"set server slots/{slot} health up;" if weight else ""
        try:
            with socket.socket(socket.AF_UNIX) as wire:
                wire.settimeout(5)
                wire.connect(str(PROXY))
                wire.sendall(f"{health}set server slots/{slot} weight {weight}\n".encode())
                said = wire.recv(4096).decode().strip()
        except OSError as error:
            raise config.Problem(f"proxy: {PROXY}: {error}; is the stack up? `make up`") from None
        if said:
            raise config.Problem(f"proxy: weight of {slot}: {said}; is ops/derived/haproxy.cfg ours?")


def start_slot(slot: str, release: str) -> None:
    """Serve a release in a slot; what the slot served before is stopped first."""
    if release_in(slot) == release and _ask("getProcessInfo", slot)["statename"] == "RUNNING":
        return
    stop_slot(slot)
    home = Path("run", slot)
    shutil.rmtree(home / "bentoml", ignore_errors=True)  # the metrics of the server before
    (home / "bentoml").mkdir(parents=True)
    (home / "release").symlink_to((releases.FOLDER / release / "bento").resolve())
    _ask("startProcess", slot, False)


def stop_slot(slot: str) -> None:
    with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
        _ask("stopProcess", slot)
    Path("run", slot, "release").unlink(missing_ok=True)


def workers(slot: str) -> list[int]:
    """Return the process ids of a slot's serving processes."""
    found = []
    for child in psutil.Process(_ask("getProcessInfo", slot)["pid"]).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may be gone by now
            found += [child.pid] if "_bentoml_impl.worker.service" in child.cmdline() else []
    return found


def is_ready(name: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port(name)}{READY[name]}", timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return name == "proxy" and error.code == 503  # it is there; its slots are not yet
    except OSError:
        return False


def wait_ready(name: str, called_off: Callable[[], bool] = lambda: False, seconds: float = 60) -> None:
    deadline, log = time.time() + seconds, Path(f"run/logs/{name}.log")
    while not (called_off() or is_ready(name)):
        if time.time() > deadline or _ask("getProcessInfo", name)["statename"] in ("FATAL", "EXITED"):
            said = ["it said nothing", *log.read_text(errors="replace").strip().splitlines()]
            said = [line for line in said if WHY.match(line)] or said
            raise config.Problem(f"up: {name} does not get ready: {said[-1]} ({log})")
        time.sleep(0.1)


def runs() -> bool:
    """Return whether our supervisord runs."""
    try:
        return bool(_ask("getState"))
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
            if probe.connect_ex(("127.0.0.1", port(name))) == 0:
                way_out = f"free it, or change ports.{name} in params.yaml and run `make plan`"
                raise config.Problem(f"up: port {port(name)} for {name} is taken; {way_out}")
    for folder in ("logs", "blue", "green"):
        Path("run", folder).mkdir(parents=True, exist_ok=True)
    extra = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "BENTOML_DO_NOT_TRACK": "True"}
    subprocess.run([sys.executable, "-m", "supervisor.supervisord", "-c", CONF], env=os.environ | extra, check=True)
    while not runs():
        time.sleep(0.05)


def _ask(method: str, *words: Any) -> Any:
    """Call supervisord over its socket; raises xmlrpc.client.Fault when it refuses."""
    transport = SupervisorTransport(None, None, f"unix://{SUPERVISOR}")
    return getattr(xmlrpc.client.ServerProxy("http://localhost", transport).supervisor, method)(*words)
