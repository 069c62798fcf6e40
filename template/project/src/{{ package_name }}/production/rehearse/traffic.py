"""Replay rows as live requests in their time order, at the promised peak rate, and send labels late."""

import asyncio
import contextlib
import itertools
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import numpy as np
import polars as pl
from polars import selectors

from .. import config, drift, stack
from ..stages import VALID, windows, write_json
from .lab import ask, wrong_labels

ISO = selectors.datetime().dt.to_string("iso")
SIZES = [1, 1, 1, 1, 1, 16]  # rows per request, in turn: single answers and small batches
LABELLED, LABEL_DELAY = 0.85, 400  # the share of rows that ever get a label; so many requests later


class Request(NamedTuple):
    """Rows that are asked together, the time of the first, and their labels, right or wrong: None where none come."""

    time: datetime
    rows: list[dict[str, Any]]
    labels: list[Any]
    wrong: list[Any]


class Sent(NamedTuple):
    """One request as its client saw it; `status` 0 means that no answer came."""

    at: float
    status: int
    seconds: float
    release: str
    event_time: datetime

    @property
    def kind(self) -> str:
        """Say what became of it: shed is a polite no, failed is a broken promise."""
        return {200: "answered", 429: "shed"}.get(self.status, "failed")


class Traffic(threading.Thread):
    """An open model: requests leave on schedule, however slow the answers are."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.rate, self.sent, self.planted = config.slo().peak_rps, list[Sent](), dict[str, Any]()
        self._clock, self._next, self._over, self.flipped = config.contract().time, 0, False, False
        self._requests = requests()
        self.last = self._requests[-1].time
        # The load test sends the same rows.
        write_json(Path("run/payloads.json"), [request.rows[0] for request in self._requests[:500]])

    def run(self) -> None:
        asyncio.run(self._replay())

    def stop(self) -> None:
        self._over = True
        self.join(timeout=15)

    def event_time(self) -> datetime:
        """Return how far the replay has come, in the time of the data; in that of the clock where it has none."""
        return self._request(self._next).time if self._clock else datetime.now()

    def since(self, start: float) -> list[Sent]:
        """Return the requests that left since a moment and were answered or lost."""
        return [sent for sent in list(self.sent) if sent.at >= start]

    def failed(self, start: float) -> int:
        """Return how many requests since a moment were lost, or answered by an error."""
        return sum(sent.kind == "failed" for sent in self.since(start))

    def lasts(self, windows: float) -> float:
        """Return in how many seconds so many full windows of drift are sent."""
        return windows * config.watch().window_rows / (sum(SIZES) / len(SIZES) * self.rate)

    def calm(self) -> bool:
        """Return whether every request of the last second was answered."""
        sent = self.since(time.time() - 1)
        return bool(sent) and all(s.status == 200 for s in sent)

    def _request(self, number: int) -> Request:
        """Return a request by its number; when the data is at its end, it begins again, later."""
        lap, place = divmod(number, len(self._requests))
        request, live = self._requests[place], self.last - self._requests[0].time
        if not (lap or self.planted):
            return request
        step = timedelta(days=7 if live > timedelta(days=7) else 1)  # hour and weekday stay
        length = step * (live // step + 1)
        later = length * (lap % ((datetime.max - self.last) // length))
        rows = [row | self.planted for row in request.rows]
        for row in rows:
            row |= {self._clock: (datetime.fromisoformat(row[self._clock]) + later).isoformat()} if self._clock else {}
        return request._replace(time=request.time + later, rows=rows)

    async def _replay(self) -> None:
        tasks, start, url = set[asyncio.Task[None]](), time.monotonic(), f"http://127.0.0.1:{stack.port('proxy')}"
        async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=10)) as session:
            while not self._over:
                tasks.add(task := asyncio.create_task(self._send(session, self._next)))
                task.add_done_callback(tasks.discard)
                self._next += 1
                await asyncio.sleep(start + self._next / self.rate - time.monotonic())
            await asyncio.gather(*tasks)

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        request = self._request(number)
        start, status, release = time.time(), 0, ""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            body, name = request.rows if request.rows[1:] else request.rows[0], {"X-Request-Id": f"r{number}"}
            async with session.post("/predict", json=body, headers=name) as answer:
                await answer.read()
                status, release = answer.status, answer.headers.get("X-Release", "")
        self.sent.append(Sent(start, status, time.time() - start, release, request.time))
        if number >= LABEL_DELAY and (known := self._labels(number - LABEL_DELAY)):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await (await session.post("/feedback", json=known)).release()

    def relabel(self, requests: int, flipped: bool) -> None:
        """Send the labels of the last requests again, right or flipped, and those to come likewise."""
        self.flipped, newest = flipped, self._next - LABEL_DELAY
        told = [label for number in range(max(0, newest - requests), newest) for label in self._labels(number)]
        for start in range(0, len(told), 1000):
            ask(told[start : start + 1000], "/feedback")

    def _labels(self, number: int) -> list[dict[str, Any]]:
        """Return the labels of a request's rows, by the ids under which they were predicted."""
        labels = self._request(number).wrong if self.flipped else self._request(number).labels
        ids = [f"r{number}:{k}" for k in range(len(labels))] if len(labels) > 1 else [f"r{number}"]
        return [{"request_id": i, "label": y} for i, y in zip(ids, labels, strict=True) if y is not None]


def requests() -> list[Request]:
    """Return the live rows, thinned to what watch needs per window, cut into requests."""
    contract, params, sizes = config.contract(), config.params(), itertools.cycle(SIZES)
    there = pl.scan_parquet(VALID).select(contract.target, *{contract.clock: 0, **dict.fromkeys(contract.row)})
    frame, watch = there.filter(pl.col(contract.clock) >= params.split.evaluate_until).collect(), config.watch()
    if frame.height < watch.window_rows // 2:  # after a retraining: those that judged are new to the model too
        frame = there.filter(pl.col(contract.clock) >= params.split.train_until).collect()
    each = windows(frame[contract.clock].to_numpy(), watch.window_days) or [np.arange(frame.height)]
    kept = np.concatenate([drift.thin(rows, watch.window_rows) for rows in each])
    frame, when = frame[kept], frame[contract.clock][kept].to_list()
    told = np.random.default_rng(params.seed).random(frame.height) < LABELLED
    some = [pl.when(pl.lit(pl.Series(told))).then(label) for label in (pl.col(contract.target), wrong_labels())]
    labels, wrong = (frame.select(each).to_series().to_list() for each in some)
    rows, found, start = frame.select(contract.row).with_columns(ISO).to_dicts(), [], 0
    while start < len(rows):
        end = start + next(sizes)
        found.append(Request(when[start], rows[start:end], labels[start:end], wrong[start:end]))
        start = end
    return found
