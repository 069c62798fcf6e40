"""Replay rows as live requests in their time order, at a fixed rate, and send labels late."""

import asyncio
import contextlib
import random
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import numpy as np
import polars as pl

from .. import config, drift
from ..stages import VALID, windows, write_json

SIZES = [1, 1, 1, 1, 1, 16]  # rows per request, in turn: single answers and small batches
LABELLED, LABEL_DELAY = 0.85, 400  # the share of rows that ever get a label; so many requests later
PAYLOADS = Path("run/payloads.json")  # what the load test sends
Row = dict[str, Any]


class Sent(NamedTuple):
    """One request as its client saw it; `status` 0 means that no answer came."""

    at: float
    status: int
    seconds: float
    release: str
    event_time: str


class Traffic:
    """An open model: requests leave on schedule, however slow the answers are."""

    def __init__(self, port: int, rate: float) -> None:
        self.contract, self.rate = config.contract(), rate
        self.url, self.sent = f"http://127.0.0.1:{port}", list[Sent]()
        self.requests, self._next = self._requests(), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        write_json(PAYLOADS, [self._body(rows)[0] for rows in self.requests[:500]])

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=15)

    def event_time(self) -> str:
        """Return how far the replay has come, in the time of the data."""
        return str(self._rows(self._next)[-1][self.contract.time])

    def event_seconds(self) -> float:
        return datetime.fromisoformat(self.event_time()).timestamp()

    def since(self, start: float) -> list[Sent]:
        """Return the requests that left since a moment and were answered or lost."""
        return [sent for sent in list(self.sent) if sent.at >= start]

    def _requests(self) -> list[list[Row]]:
        """Return the live rows, thinned to what watch needs per window, cut into requests."""
        contract, params = self.contract, config.params()
        live = pl.scan_parquet(VALID).filter(pl.col(contract.time) >= params.split.evaluate_until)
        frame = live.select(contract.id, contract.time, contract.target, *contract.columns).collect()
        number = windows(frame[contract.time].to_numpy(), params.watch.window_days)
        kept = [drift.thin(np.flatnonzero(number == w), params.watch.window_rows) for w in np.unique(number)]
        rows = frame[np.concatenate(kept)].with_columns(pl.col(contract.time).dt.to_string("iso")).to_dicts()
        requests: list[list[Row]] = []
        while rows:
            size = SIZES[len(requests) % len(SIZES)]
            requests.append(rows[:size])
            rows = rows[size:]
        return requests

    def _rows(self, number: int) -> list[Row]:
        """Return the rows of a request; when the data is at its end, its last hundred repeat."""
        last = len(self.requests)
        return self.requests[number if number < last else last - 1 - number % min(100, last)]

    def _body(self, rows: list[Row]) -> list[Row]:
        hidden = (self.contract.id, self.contract.target)
        return [{name: row[name] for name in row if name not in hidden} for row in rows]

    async def _run(self) -> None:
        tasks, start = set[asyncio.Task[None]](), time.monotonic()
        async with aiohttp.ClientSession(self.url, timeout=aiohttp.ClientTimeout(total=10)) as session:
            while not self._stop.is_set():
                tasks.add(task := asyncio.create_task(self._send(session, self._next)))
                task.add_done_callback(tasks.discard)
                self._next += 1
                await asyncio.sleep(start + self._next / self.rate - time.monotonic())
            await asyncio.gather(*tasks)

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        rows, start, status, release = self._rows(number), time.time(), 0, ""
        body = self._body(rows) if len(rows) > 1 else self._body(rows)[0]
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.post("/predict", json=body, headers={"X-Request-Id": f"r{number}"}) as answer:
                await answer.read()
                status, release = answer.status, answer.headers.get("X-Release", "")
        event_time = str(rows[0][self.contract.time])
        self.sent.append(Sent(start, status, time.time() - start, release, event_time))
        if labels := self._labels(number - LABEL_DELAY):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await (await session.post("/feedback", json=labels)).release()

    def _labels(self, number: int) -> list[Row]:
        rows, chance = self._rows(number) if number >= 0 else [], random.Random(number)
        ids = [f"r{number}:{k}" for k in range(len(rows))] if len(rows) > 1 else [f"r{number}"]
        known = [(i, row[self.contract.target]) for i, row in zip(ids, rows, strict=False)]
        told = [(i, label) for i, label in known if label is not None and chance.random() < LABELLED]
        return [{"request_id": i, "label": label} for i, label in told]
