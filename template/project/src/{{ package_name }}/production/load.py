"""Measure what one replica carries: the promised peak on the running stack, CPU time counted."""

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from . import config, releases, stack
from .stages import read_json, write_json

CAPACITY, SUMMARY = Path("ops/capacity.json"), Path("run/load.json")
USABLE = 0.7  # of the CPU: above it, queues grow faster than the latency objective allows


def load() -> None:
    """Write ops/capacity.json, which the next `make plan` reads; refuse when the promise breaks."""
    slot = stack.serving_slot()
    if not (stack.is_ready("proxy") and stack.is_ready(slot)):
        raise config.Problem("load: the stack does not run; `make up` starts it")
    before = _cpu_seconds(slot)
    metrics = run()
    cpu_ms = 1000 * (_cpu_seconds(slot) - before) / metrics["http_reqs"]["count"]
    p99_ms = metrics["http_req_duration{status:200}"]["p(99)"]
    cores = min(len(stack.workers(slot)), os.cpu_count() or 1)
    found = {"generated": "by `make load`", "replica_rps": round(USABLE * cores * 1000 / cpu_ms, 1)}
    found |= {"cpu_ms_per_request": round(cpu_ms, 3), "p99_ms": round(p99_ms, 1)}
    found |= {"machine": f"{os.cpu_count()} cores {platform.machine()}"}
    write_json(CAPACITY, found | {"date": datetime.date.today().isoformat()})
    print(f"load: {cpu_ms:.2f} ms CPU a request, p99 {p99_ms:.1f} ms; a replica carries "
          f"{found['replica_rps']} a second: {USABLE} x {cores} cores / CPU a request")  # fmt: skip
    for name, metric in metrics.items():
        for limit in (limit for limit, crossed in metric.get("thresholds", {}).items() if crossed):
            raise config.Problem(f"load: the promise does not hold at peak: {name} {limit}")


def run(factor: float = 1, duration: str = "20s") -> dict[str, Any]:
    """Send so many times the promised peak, golden rows as bodies; return k6's metrics."""
    golden = read_json(releases.source(str(releases.stable())) / "model/golden.json")
    write_json(Path("run/payloads.json"), golden["rows"])
    command = ["k6", "run", "--quiet", "--summary-export", str(SUMMARY), "ops/derived/load.js"]
    asked = {"RATE_FACTOR": str(factor), "DURATION": duration, "K6_NO_USAGE_REPORT": "true"}
    try:
        done = subprocess.run(command, env=os.environ | asked, capture_output=True, check=False)
    except FileNotFoundError:
        raise config.Problem("load: k6 is not installed; `make setup` installs it") from None
    if done.returncode not in (0, 99):  # 99: a threshold was crossed, which is a result
        raise config.Problem(f"load: k6 failed: {done.stderr.decode().strip()[-200:]}")
    return dict(read_json(SUMMARY)["metrics"])


def _cpu_seconds(slot: str) -> float:
    times = [psutil.Process(worker).cpu_times() for worker in stack.workers(slot)]
    return float(sum(spent.user + spent.system for spent in times))
