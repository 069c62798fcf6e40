"""Fire at the stack of an emitted project: garbage, slow clients, thousands of connections.

Prints JSON: the statuses of the garbage, how far the workers' memory and the metrics grew, and how
good requests fared meanwhile.
"""

import argparse
import asyncio
import contextlib
import json
import random
import urllib.request
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil

(PACKAGE,) = (path.parent.name for path in Path("src").glob("*/production"))
stack = import_module(f"{PACKAGE}.production.stack")
releases = import_module(f"{PACKAGE}.production.releases")
GOLDEN = json.loads((releases.source(releases.stable()) / "model/golden.json").read_text())["rows"]
PORT = stack.port("proxy")
JUNK = [None, True, -1, 1e400, "", "x" * 10_000, "\u0000", [], {}, [[]], {"a": {}}, "NaN", "39.5"]


def garbage(chance: random.Random) -> tuple[str, bytes]:
    """Return a path and a body, wrong in some way."""
    row = dict(chance.choice(GOLDEN))
    column = chance.choice(list(row))
    wrong: list[Any] = [
        row | {column: [chance.choice(JUNK)]},
        row | {column: float("nan")},
        row | {f"unheard-of-{chance.random()}": 1},
        {name: value for name, value in row.items() if name != column},
        [],
        [[row]],
        [row | {column: {}}] * 50,
        chance.choice(JUNK),
    ]
    bodies = [json.dumps(each).encode() for each in wrong]
    bodies += [bodies[0][:-20], chance.randbytes(200), b"", b"[" * 5000]
    path = chance.choice(["/predict"] * 6 + ["/explain", "/feedback", f"/{chance.random()}"])
    return path, chance.choice(bodies)


async def fire(session: aiohttp.ClientSession, seen: Counter[int], until: float, seed: int) -> None:
    chance, loop = random.Random(seed), asyncio.get_running_loop()
    while loop.time() < until:
        path, body = garbage(chance)
        try:
            async with session.post(path, data=body) as answer:
                await answer.read()
                seen[answer.status] += 1
        except aiohttp.ClientError:
            seen[0] += 1
        await asyncio.sleep(0.05)  # the proxy admits twice the peak on each path: stay below


async def good(session: aiohttp.ClientSession, took: list[float], until: float) -> None:
    """Ask what is right ten times a second; note how long it took, 9 s where it failed."""
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        start = loop.time()
        try:
            async with session.post("/predict", json=GOLDEN[0]) as answer:
                await answer.read()
                took.append(loop.time() - start if answer.status == 200 else 9.0)
        except (aiohttp.ClientError, TimeoutError):
            took.append(9.0)
        await asyncio.sleep(0.1)


async def dribble() -> bytes:
    """Send a request a byte a second; return the answer, empty if the line is just cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    try:
        for byte in b"POST /predict HTTP/1.1\r\nhost: here\r\ncontent-length: 500\r\n\r\n":
            writer.write(bytes([byte]))
            await asyncio.wait_for(writer.drain(), 5)
            await asyncio.sleep(1)
            if reader.at_eof() or reader._buffer:  # type: ignore[attr-defined]
                break
        return await asyncio.wait_for(reader.read(), 10)
    except (ConnectionError, TimeoutError):
        return b""
    finally:
        writer.close()


async def crowd(count: int) -> int:
    """Hold so many connections that say nothing until they are cut; return how many were."""
    held = [await asyncio.open_connection("127.0.0.1", PORT) for _ in range(count)]
    cut = 0
    for reader, writer in held:
        with contextlib.suppress(ConnectionError, TimeoutError):
            said = await asyncio.wait_for(reader.read(), 40)
            cut += said == b"" or said.startswith(b"HTTP/1.1 408")
        writer.close()
    return cut


def memory() -> float:
    """Return the memory of the workers that serve, in MB."""
    workers = stack.workers(stack.serving_slot())
    return sum(psutil.Process(worker).memory_full_info().uss for worker in workers) / 1e6


def series() -> int:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{stack.port(stack.serving_slot())}/metrics"
    ) as told:
        return sum(not line.startswith(b"#") for line in told)


async def main(seconds: float, connections: int) -> dict[str, Any]:
    seen, took, loop = Counter[int](), list[float](), asyncio.get_running_loop()
    url, limit = f"http://127.0.0.1:{PORT}", aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(url, timeout=limit) as session:
        await asyncio.gather(
            *(fire(session, Counter(), loop.time() + 5, -seed) for seed in range(1, 4))
        )
        before = memory(), series()
        until = loop.time() + seconds
        await asyncio.gather(
            good(session, took, until), *(fire(session, seen, until, seed) for seed in range(3))
        )
        after, crowded = (memory(), series()), list[float]()
        until = loop.time() + 15
        *slow, cut, _ = await asyncio.gather(
            *(dribble() for _ in range(50)), crowd(connections), good(session, crowded, until)
        )
    return {
        "garbage": {str(status): count for status, count in sorted(seen.items())},
        "memory_mb": [round(before[0], 1), round(after[0], 1)],
        "series": [before[1], after[1]],
        "good_p99_ms": round(1000 * float(np.percentile(took, 99)), 1),
        "slow_clients_cut": sum(answer == b"" or b" 408 " in answer for answer in slow),
        "connections_cut": cut,
        "good_p99_ms_in_the_crowd": round(1000 * float(np.percentile(crowded, 99)), 1),
    }


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seconds", type=float, default=30)
    words.add_argument("--connections", type=int, default=2000)
    given = words.parse_args()
    print(json.dumps(asyncio.run(main(given.seconds, given.connections))))
