"""Receive alerts for the owners, run watch by the clock, and show Prometheus what it found: one small server."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import config

ALERTS, METRICS, BODY_BYTES = Path("run/alerts.jsonl"), Path("run/watch.prom"), 1 << 20
LEAN = {"_RJEM_MALLOC_CONF": "narenas:1"}  # Polars gives memory back: watch takes a fifth less, and is not slower


class Handler(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        self._answer(200, METRICS.read_bytes() if METRICS.exists() else b"")

    def do_POST(self) -> None:
        if (size := int(self.headers.get("Content-Length", 0))) > BODY_BYTES:
            return self._answer(413)
        with ALERTS.open("a", encoding="utf-8") as file:
            for alert in json.loads(self.rfile.read(size))["alerts"]:
                row = {"received": time.time(), "status": alert["status"]} | alert["annotations"] | alert["labels"]
                file.write(json.dumps(row) + "\n")
        return self._answer(200)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what matters is in run/alerts.jsonl."""


def monitor(watch_minutes: float, host: str) -> None:
    """Serve until stopped; run watch so often (0: another does), in a process of its own: it takes memory and time."""
    if watch_minutes:
        threading.Thread(target=_watch, args=(watch_minutes,), daemon=True).start()
    ThreadingHTTPServer((host, config.params().ports.monitor), Handler).serve_forever()


def _watch(minutes: float) -> None:
    while True:
        time.sleep(60 * minutes)
        subprocess.run([sys.executable, "-m", __package__, "watch"], env=os.environ | LEAN)
