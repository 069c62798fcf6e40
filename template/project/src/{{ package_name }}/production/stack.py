"""The production stack on this machine: two slots, proxy, Prometheus, Alertmanager, monitor.

Everything listens on loopback, runs detached, and is ended by the process id recorded at its start.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from . import config, proxy, releases
from .stages import read_json, write_json

LOGS, PIDS, SLOTS = Path("run/logs"), Path("run/pids.json"), Path("run/slots.json")
PACKAGE = Path(__file__).parents[1].name
# What answers when a part is ready; a slot's port opens before its model is loaded.
READY = {"proxy": "/livez", "prometheus": "/-/ready", "alertmanager": "/-/ready"}
READY |= {"monitor": "/metrics", "blue": "/readyz", "green": "/readyz"}


def up() -> None:
    """Start what does not run yet, wait until all is ready, and show it."""
    stable = releases.stable() or _newest()
    commands = _commands()
    try:
        serving = str(slots()["stable"])
        start_slot(serving, stable)
        for name, command in commands.items():
            _start(name, command)
        for name in [serving, *commands]:
            wait_ready(name)
        proxy.set_weights({serving: 100, other(serving): 0})
    except BaseException:
        down()
        raise
    if releases.stable() is None:
        releases.STABLE.write_text(stable + "\n", encoding="utf-8")
        releases.record("deployed", release=stable)
    show()


def down() -> None:
    """End every process that `up` or a promotion started, and nothing else."""
    for name in list(_pids()):
        _stop(name)


def show() -> None:
    """Print what runs, where, and since when."""
    found = slots()
    for name in ["blue", "green", "proxy", "prometheus", "alertmanager", "monitor"]:
        state = "up" if _process(name) else "down"
        what = str(found.get(name) or "") + (" (stable)" if name == found["stable"] else "")
        print(f"{name:<14}{state:<6}http://127.0.0.1:{port(name)}  {what}")


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
    if slots()[slot] == release and _process(slot):
        return
    _stop(slot)
    home = Path("run", slot).resolve()
    # One home per slot: two servers that share one delete each other's metrics.
    extra = {"BENTOML_HOME": str(home / "bentoml"), "RUN_DIR": str(home)}
    shutil.rmtree(home / "bentoml", ignore_errors=True)
    (home / "bentoml").mkdir(parents=True)
    command = [sys.executable, "-m", "bentoml", "serve", ".", "--host", "127.0.0.1"]
    command += ["--port", str(port(slot))]
    _start(slot, command, releases.FOLDER / release / "bento", extra)
    write_json(SLOTS, slots() | {slot: release})


def stop_slot(slot: str) -> None:
    _stop(slot)
    write_json(SLOTS, slots() | {slot: None})


def kill_slot(slot: str) -> None:
    """End a slot as a crash would: no goodbye."""
    _stop(slot, signal.SIGKILL)


def workers(slot: str) -> list[int]:
    """Return the process ids of a slot's serving processes."""
    process = _process(slot)
    found = []
    for child in process.children(recursive=True) if process else []:
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
        if not _process(name) or time.time() > deadline:
            lines = (LOGS / f"{name}.log").read_text(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "it said nothing"
            raise config.Problem(f"{name} did not become ready: {last} (run/logs/{name}.log)")
        time.sleep(0.1)


def _newest() -> str:
    packaged = [event["release"] for event in releases.ledger() if event["event"] == "packaged"]
    if not packaged:
        raise config.Problem("up: there is no release yet; `make package` makes one")
    return str(packaged[-1])


def _commands() -> dict[str, list[str]]:
    derived, loopback = "ops/derived", "127.0.0.1"
    alertmanager = shutil.which("prometheus-alertmanager") or "alertmanager"
    found = {
        "proxy": ["haproxy", "-db", "-f", f"{derived}/haproxy.cfg"],
        "prometheus": [
            "prometheus", f"--config.file={derived}/prometheus.yml", "--log.level=warn",
            "--storage.tsdb.path=run/prometheus", "--storage.tsdb.retention.time=2d",
            f"--web.listen-address={loopback}:{port('prometheus')}",
        ],
        "alertmanager": [
            alertmanager, f"--config.file={derived}/alertmanager.yml", "--cluster.listen-address=",
            "--storage.path=run/alertmanager", "--log.level=warn",
            f"--web.listen-address={loopback}:{port('alertmanager')}",
        ],
        "monitor": [sys.executable, "-m", f"{PACKAGE}.production", "monitor"],
    }  # fmt: skip
    for command in found.values():
        if not shutil.which(command[0]):
            raise config.Problem(f"up: {command[0]} is not installed; bash deploy/local/tools.sh")
    if not Path(derived, "haproxy.cfg").exists():
        raise config.Problem(f"up: {derived} is empty; `make plan` fills it")
    return found


def _start(
    name: str, command: list[str], cwd: Path = Path(), extra: dict[str, str] | None = None
) -> None:
    if _process(name):
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port(name)))
        except OSError:
            raise config.Problem(
                f"up: port {port(name)} for {name} is taken; free it, or change ports.{name} in "
                "params.yaml and run `make plan`"
            ) from None
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=cwd, env=os.environ | {"BENTOML_DO_NOT_TRACK": "True"} | (extra or {}),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    born = psutil.Process(process.pid).create_time()
    write_json(PIDS, _pids() | {name: {"pid": process.pid, "born": born}})


def _stop(name: str, sign: signal.Signals = signal.SIGTERM) -> None:
    if process := _process(name):
        family = [process, *process.children(recursive=True)]
        for member in family if sign == signal.SIGKILL else [process]:
            member.send_signal(sign)
        _, left = psutil.wait_procs(family, timeout=10)
        for member in left:
            member.kill()
        psutil.wait_procs(left, timeout=5)
    write_json(PIDS, {key: value for key, value in _pids().items() if key != name})


def _process(name: str) -> psutil.Process | None:
    """Return the process that we started under this name; another one with its id is not ours."""
    if not (known := _pids().get(name)):
        return None
    try:
        process = psutil.Process(known["pid"])
        ours = abs(process.create_time() - known["born"]) < 1
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _pids() -> dict[str, Any]:
    return json.loads(PIDS.read_text(encoding="utf-8")) if PIDS.exists() else {}
