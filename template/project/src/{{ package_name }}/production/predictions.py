"""The prediction log: every answer and every late label is in a file before it is sent; no answer waits for a disk."""

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

SEGMENT_BYTES = 16 << 20


class PredictionLog:
    """JSON lines in `folder`, one write per request: kill -9 loses none, a power cut the last seconds.

    A file is locked while this process may write to it. When the disk is full or gone, rows drop and are counted.
    """

    def __init__(self, folder: Path, dropped: Callable[[int], None]) -> None:
        self._folder, self._dropped, self._encoder = folder, dropped, msgspec.json.Encoder()
        self._file, self._size = -1, SEGMENT_BYTES

    def put(self, rows: list[dict[str, Any]]) -> None:
        lines = self._encoder.encode_lines(rows)
        try:
            if self._size + len(lines) > SEGMENT_BYTES:
                self._open()
            written = os.write(self._file, lines)
            if written < len(lines):  # no half line stays behind
                os.ftruncate(self._file, self._size)
                raise OSError(errno.ENOSPC, "the disk is full")
            self._size += written
        except OSError:
            self._dropped(len(rows))

    def close(self) -> None:
        """Let go of the file: it is whole."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size = -1, SEGMENT_BYTES

    def _open(self) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"predictions-{time.time_ns()}-{os.getpid()}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._size = 0
