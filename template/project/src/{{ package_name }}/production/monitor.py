"""Receive alerts for the owners, and show Prometheus what watch found: one small server."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import config

ALERTS, METRICS = Path("run/alerts.jsonl"), Path("run/watch.prom")
BODY_BYTES = 1 << 20


class Handler(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        found = METRICS.read_bytes() if METRICS.exists() else b""
        self._answer(200 if self.path == "/metrics" else 404, found)

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", BODY_BYTES + 1))
        if self.path != "/alerts" or size > BODY_BYTES:
            self._answer(404 if size <= BODY_BYTES else 413, b"")
            return
        with ALERTS.open("a", encoding="utf-8") as file:
            for alert in json.loads(self.rfile.read(size))["alerts"]:
                row = {"received": time.time(), "status": alert["status"]}
                row |= {key: alert["labels"].get(key) for key in ("severity", "owner")}
                row |= {"name": alert["labels"]["alertname"], **alert["annotations"]}
                file.write(json.dumps(row) + "\n")
        self._answer(200, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what matters is in run/alerts.jsonl."""


def monitor() -> None:
    """Serve on loopback until stopped."""
    ALERTS.parent.mkdir(exist_ok=True)
    ThreadingHTTPServer(("127.0.0.1", config.params().ports.monitor), Handler).serve_forever()
