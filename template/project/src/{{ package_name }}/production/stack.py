"""The production stack on this machine: two slots, proxy, monitoring. STACK names what runs its parts."""

import importlib
import os
import re
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from . import config, releases

PARTS = importlib.import_module(f".{os.environ.get('STACK', 'processes')}", __package__)
# What answers when a part is ready. A slot opens its port before its model is loaded: ask /readyz.
READY = {"blue": "/readyz", "green": "/readyz", "proxy": "/livez", "prometheus": "/-/ready"}
WHY = re.compile(r"[\w.]+(Error|Problem|Exception): ")  # the last line of a traceback
READY |= {"alertmanager": "/-/ready", "monitor": "/metrics"}


def up() -> None:
    """Start what does not run yet, wait until all is ready, and show it."""
    first, stable = releases.stable() is None, releases.stable() or releases.newest()
    try:
        if not PARTS.runs():
            _check()
            PARTS.begin()
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
    if PARTS.runs():
        PARTS.end()


def status() -> None:
    """Print what runs, and where."""
    states = PARTS.states() if PARTS.runs() else {}
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
                wire.connect(str(PARTS.PROXY))
                wire.sendall(f"{health}set server slots/{slot} weight {weight}\n".encode())
                said = wire.recv(4096).decode().strip()
        except OSError as error:
            raise config.Problem(f"proxy: {PARTS.PROXY}: {error}; is the stack up? `make up`") from None
        if said:
            raise config.Problem(f"proxy: weight of {slot}: {said}; is ops/derived/haproxy.cfg ours?")


def start_slot(slot: str, release: str) -> None:
    """Serve a release in a slot; what the slot served before is stopped first."""
    if release_in(slot) == release and PARTS.states().get(slot) == "running":
        return
    stop_slot(slot)
    home = Path("run", slot)
    shutil.rmtree(home / "bentoml", ignore_errors=True)  # the metrics of the server before
    (home / "bentoml").mkdir(parents=True)
    (home / "release").symlink_to((releases.FOLDER / release / "bento").resolve())
    PARTS.start(slot)


def stop_slot(slot: str) -> None:
    PARTS.stop(slot)
    Path("run", slot, "release").unlink(missing_ok=True)


def workers(slot: str) -> list[int]:
    """Return the process ids of a slot's serving processes."""
    return list(PARTS.workers(slot))


def is_ready(name: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port(name)}{READY[name]}", timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return name == "proxy" and error.code == 503  # it is there; its slots are not yet
    except OSError:
        return False


def wait_ready(name: str, called_off: Callable[[], bool] = lambda: False, seconds: float = 60) -> None:
    deadline = time.time() + seconds
    while not (called_off() or is_ready(name)):
        if time.time() > deadline or PARTS.states().get(name) in ("fatal", "exited"):
            said = ["it said nothing", *PARTS.log(name).strip().splitlines()]
            said = [line for line in said if WHY.match(line)] or said
            raise config.Problem(f"up: {name} does not get ready: {said[-1]} ({PARTS.LOG.format(name)})")
        time.sleep(0.1)


def _check() -> None:
    """Refuse to start where a port is taken."""
    for name in READY:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port(name))) == 0:
                way_out = f"free it, or change ports.{name} in params.yaml and run `make plan`"
                raise config.Problem(f"up: port {port(name)} for {name} is taken; {way_out}")
