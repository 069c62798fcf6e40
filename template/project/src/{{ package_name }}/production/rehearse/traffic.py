"""Replay rows as live requests in their time order, at a fixed rate, and send labels late."""

import asyncio
import dataclasses
import datetime
import random
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import polars as pl

from .. import config, drift
from ..stages import VALID, windows, write_json

SIZES = [1, 1, 1, 1, 1, 16]  # rows per request, in turn: single answers and small batches
PAYLOADS = Path("run/payloads.json")  # what the load test sends
LABELLED, LABEL_DELAY = 0.85, 400  # share of rows that ever get a label; so many requests later


@dataclasses.dataclass
class Sent:
    """One request as its client saw it; `status` 0 means that no answer came."""

    at: float
    status: int
    seconds: float
    release: str
    event_time: str


class Traffic:
    """An open model: requests leave on schedule, however slow the answers are."""

    def __init__(self, port: int, rate: float) -> None:
        self.contract, self.params = config.contract(), config.params()
        self.url, self.rate = f"http://127.0.0.1:{port}", rate
        self.sent: list[Sent] = []
        self.requests = self._requests()
        self._next, self._stop = 0, threading.Event()
        write_json(PAYLOADS, [self._body(rows)[0] for rows in self.requests[:500]])
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=15)

    def event_time(self) -> str:
        """Return how far the replay has come, in the time of the data."""
        return str(self.at(self._next)[-1][self.contract.time])

    def at(self, number: int) -> list[dict[str, Any]]:
        """Return the rows of a request; when the data is at its end, its last hundred repeat."""
        last = len(self.requests)
        return self.requests[number if number < last else last - 1 - number % min(100, last)]

    def event_seconds(self) -> float:
        """Return the same as seconds since 1970."""
        return datetime.datetime.fromisoformat(self.event_time()).timestamp()

    def since(self, start: float) -> list[Sent]:
        """Return the requests answered since a moment."""
        return [sent for sent in list(self.sent) if sent.at >= start]

    def _requests(self) -> list[list[dict[str, Any]]]:
        """Return the live rows, thinned to what the watch needs per window, cut into requests."""
        contract, watch = self.contract, self.params.watch
        live = pl.scan_parquet(VALID).filter(
            pl.col(contract.time) >= self.params.split.evaluate_until
        )
        names = [contract.id, contract.time, contract.target, *contract.columns]
        frame = live.select(names).sort(contract.time, contract.id).collect()
        number = windows(frame[contract.time].to_numpy(), watch.window_days)
        kept = [drift.thin(np.flatnonzero(number == w), watch.window_rows) for w in np.unique(number)]
        frame = frame[np.concatenate(kept)].with_columns(pl.col(contract.time).dt.to_string("iso"))
        rows = frame.to_dicts()
        requests: list[list[dict[str, Any]]] = []
        while rows:
            size = SIZES[len(requests) % len(SIZES)]
            requests.append(rows[:size])
            rows = rows[size:]
        return requests

    def _body(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        hidden = (self.contract.id, self.contract.target)
        return [{name: row[name] for name in row if name not in hidden} for row in rows]

    async def _run(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(self.url, timeout=timeout) as session:
            start = time.monotonic()
            for number in range(10**9):
                await asyncio.sleep(max(0.0, start + number / self.rate - time.monotonic()))
                if self._stop.is_set():
                    break
                self._next = number
                tasks.add(task := asyncio.create_task(self._send(session, number)))
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        await self._post(session, f"r{number}", self.at(number))
        if number >= LABEL_DELAY:
            await self._label(session, number - LABEL_DELAY)

    async def _post(
        self, session: aiohttp.ClientSession, request_id: str, rows: list[dict[str, Any]]
    ) -> None:
        body = self._body(rows)
        start, status, release = time.time(), 0, ""
        headers = {"X-Request-Id": request_id}
        try:
            payload = body if len(body) > 1 else body[0]
            async with session.post("/predict", json=payload, headers=headers) as answer:
                await answer.read()
                status, release = answer.status, answer.headers.get("X-Release", "")
        except (aiohttp.ClientError, TimeoutError):
            pass
        taken = time.time() - start
        self.sent.append(Sent(start, status, taken, release, str(rows[0][self.contract.time])))

    async def _label(self, session: aiohttp.ClientSession, number: int) -> None:
        rows, chance = self.at(number), random.Random(number)
        labels = [
            {"request_id": f"r{number}:{k}" if len(rows) > 1 else f"r{number}", "label": label}
            for k, row in enumerate(rows)
            if (label := row[self.contract.target]) is not None and chance.random() < LABELLED
        ]
        if labels:
            try:
                async with session.post("/feedback", json=labels) as answer:
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                pass
