"""Ask the model for the rows of several requests at once: what comes while it works is asked together next.

So nobody waits for a batch to fill: an idle model is asked at once, and a busy one for as many as have come.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import encoder
from .front import Refused

Waiting = tuple[list[Any], asyncio.Future[list[Any]]]  # rows, and where their answers are waited for
WAITING = 2000  # rows; when more wait, the next are refused at once
logger = logging.getLogger("bentoml.service")


class Batches:
    """As many rows as make a batch go to the model at a time, or those of one request that has more."""

    def __init__(self, ask: Callable[[list[Any]], list[Any]]) -> None:
        self._ask, self._most = ask, encoder.batch_size()
        self._waiting = deque[Waiting]()
        self._thread = ThreadPoolExecutor(1)
        self._work: asyncio.Task[None] | None = None

    async def ask(self, rows: list[Any], patience: float | None = None) -> list[Any]:
        """Return a prediction for each row; None where features or model break, or take more than `patience` seconds
        and 10 ms a row.
        """
        if sum(len(part) for part, _ in self._waiting) + len(rows) > WAITING:
            raise Refused(503, "too many rows wait for the model; ask again later")
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, answer))
        if self._work is None:
            self._work = asyncio.create_task(self._ask_waiting())
        try:
            return await asyncio.wait_for(answer, patience and patience + len(rows) / 100)
        except TimeoutError:
            logger.error("%d rows were not answered in %s s", len(rows), patience)
            return [None] * len(rows)

    async def _ask_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while parts := self._next():
                together = [row for rows, _ in parts for row in rows]
                said = iter(await loop.run_in_executor(self._thread, self._ask, together))
                for rows, answer in parts:
                    told = [next(said) for _ in rows]
                    if not answer.done():  # its client was told otherwise
                        answer.set_result(told)
        finally:
            self._work = None

    def _next(self) -> list[Waiting]:
        """Take what is asked together next; who has waited too long is asked for no more."""
        parts, size = list[Waiting](), 0
        while self._waiting and (not parts or size + len(self._waiting[0][0]) <= self._most):
            rows, answer = self._waiting.popleft()
            if not answer.done():
                parts.append((rows, answer))
                size += len(rows)
        return parts
