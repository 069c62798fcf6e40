"""The prediction log: every answer and every late label, off the request path, never unbounded."""

import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec


class PredictionLog:
    """One JSON line per row in `folder`; when the disk cannot follow, rows drop and are counted."""

    def __init__(self, folder: Path, dropped: Callable[[int], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._dropped = folder / f"predictions-{os.getpid()}.jsonl", dropped
        self._queue: queue.Queue[list[dict[str, Any]] | None] = queue.Queue(20_000)
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def put(self, rows: list[dict[str, Any]]) -> None:
        """Hand rows to the writer and return at once."""
        try:
            self._queue.put_nowait(rows)
        except queue.Full:
            self._dropped(len(rows))

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._queue.put(None)
        self._thread.join(timeout=5)

    def _write(self) -> None:
        while (rows := self._queue.get()) is not None:
            try:
                with self._path.open("ab") as file:
                    file.write(msgspec.json.Encoder().encode_lines(rows))
            except OSError:
                self._dropped(len(rows))
