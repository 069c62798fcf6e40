"""Move traffic between the two slots: weights in HAProxy, through its runtime socket."""

import socket
from pathlib import Path

from . import config

SOCKET = Path("run/haproxy.sock")


def command(text: str) -> str:
    """Send one command, return what HAProxy says."""
    try:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(5)
            wire.connect(str(SOCKET))
            wire.sendall(text.encode() + b"\n")
            return b"".join(iter(lambda: wire.recv(65536), b"")).decode().strip()
    except OSError as error:
        raise config.Problem(f"proxy: {SOCKET}: {error}; is the stack up? `make up`") from None


def set_weights(weights: dict[str, int]) -> None:
    """Give each slot its share of new requests, in percent."""
    for slot, weight in weights.items():
        if said := command(f"set server slots/{slot} weight {weight}"):
            raise config.Problem(f"proxy: weight of {slot}: {said}; is ops/derived/haproxy.cfg ours?")
