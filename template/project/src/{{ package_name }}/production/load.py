"""Measure what one replica carries: the promised peak on the running stack, CPU time counted."""

import datetime
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil

from . import config, releases, stack
from .stages import read_json, write_json

CAPACITY, SUMMARY = Path("ops/capacity.json"), Path("run/load.json")
USABLE = 0.7  # of the CPU: above it, queues grow faster than the latency objective allows


def load() -> None:
    """Write ops/capacity.json; the next `make plan` uses it."""
    slot = str(stack.slots()["stable"])
    if not (stack.is_ready("proxy") and stack.is_ready(slot)):
        raise config.Problem("load: the stack does not run; `make up` starts it")
    before = _cpu_seconds(slot)
    metrics = run()
    seconds, answered = _cpu_seconds(slot) - before, metrics["http_reqs"]["count"]
    cores = min(len(stack.workers(slot)), os.cpu_count() or 1)
    p99_ms, cpu_ms = metrics["http_req_duration{status:200}"]["p(99)"], 1000 * seconds / answered
    found = {"generated": "by `make load`", "replica_rps": round(USABLE * cores * 1000 / cpu_ms, 1)}
    found |= {"cpu_ms_per_request": round(cpu_ms, 3), "p99_ms": round(p99_ms, 1)}
    found |= {"machine": _machine(), "date": datetime.date.today().isoformat()}
    write_json(CAPACITY, found)
    print(f"load: {answered:.0f} requests, {cpu_ms:.2f} ms CPU each, p99 {p99_ms:.1f} ms")
    print(
        f"load: {found['replica_rps']} rps per replica: {USABLE} x {cores} cores / CPU per request"
    )
    for name, metric in metrics.items():
        if crossed := [limit for limit, missed in metric.get("thresholds", {}).items() if missed]:
            raise config.Problem(f"load: the promise does not hold at peak: {name} {crossed[0]}")


def run(factor: float = 1, duration: str = "20s") -> dict[str, Any]:
    """Send so many times the promised peak, golden rows as bodies; return k6's metrics."""
    k6 = shutil.which("k6")
    if not k6:
        raise config.Problem("load: k6 is not installed; `make setup` installs it")
    golden = read_json(releases.source(str(releases.stable())) / "model/golden.json")
    write_json(Path("run/payloads.json"), golden["rows"])
    command = [k6, "run", "--quiet", "--summary-export", str(SUMMARY), "ops/derived/load.js"]
    asked = {"RATE_FACTOR": str(factor), "DURATION": duration, "K6_NO_USAGE_REPORT": "true"}
    done = subprocess.run(
        command, env=os.environ | asked, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 99):  # 99: a threshold was crossed, which is a result
        raise config.Problem(f"load: k6: {(done.stderr.strip() or 'no word').splitlines()[-1]}")
    return dict(read_json(SUMMARY)["metrics"])


def _cpu_seconds(slot: str) -> float:
    times = [psutil.Process(worker).cpu_times() for worker in stack.workers(slot)]
    return float(sum(spent.user + spent.system for spent in times))


def _machine() -> str:
    path = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.+)", path.read_text() if path.exists() else "")
    return f"{os.cpu_count()} x {models[0] if models else platform.machine()}"
