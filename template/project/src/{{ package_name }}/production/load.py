"""Measure what one replica carries: the promised peak on the running stack, CPU time counted."""

import os
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from . import config, releases, stack
from .stages import read_json, write_json

CAPACITY, SUMMARY, PAYLOADS = Path("ops/capacity.json"), Path("run/load.json"), Path("run/payloads.json")
USABLE = 0.7  # of the CPU: above it, queues grow faster than the latency objective allows


def load() -> None:
    """Write ops/capacity.json, which the next `make plan` reads; refuse when the promise breaks."""
    slot = stack.serving_slot()
    if not (stack.is_ready("proxy") and stack.is_ready(slot)):
        raise config.Problem("load: the stack does not run; `make up` starts it")
    PAYLOADS.unlink(missing_ok=True)  # another release may have left it; ours answers its own golden rows
    workers = [psutil.Process(worker) for worker in stack.workers(slot)]
    before = sum(sum(worker.cpu_times()[:2]) for worker in workers)  # seconds, user and system
    metrics = run()
    cpu_ms = 1000 * (sum(sum(worker.cpu_times()[:2]) for worker in workers) - before) / metrics["http_reqs"]["count"]
    p99_ms, cores = metrics["http_req_duration{status:200}"]["p(99)"], min(len(workers), os.cpu_count() or 1)
    found = {"generated": "by `make load`", "replica_rps": round(USABLE * cores * 1000 / cpu_ms, 1)}
    found |= {"cpu_ms_per_request": round(cpu_ms, 3), "p99_ms": round(p99_ms, 1)}
    write_json(CAPACITY, found | {"machine": f"{os.cpu_count()} cores {os.uname().machine}", "date": str(date.today())})
    print(
        f"load: {cpu_ms:.2f} ms CPU a request, p99 {p99_ms:.1f} ms; a replica carries {found['replica_rps']} a second"
    )
    if broken := [name for name, metric in metrics.items() if any(metric.get("thresholds", {}).values())]:
        raise config.Problem(f"load: at peak {', '.join(broken)} broke what ops/derived/load.js asks; see the runbook")


def run(factor: float = 1, duration: str = "20s") -> dict[str, Any]:
    """Send so many times the promised peak; return k6's metrics. Bodies: run/payloads.json, else the golden rows."""
    if not PAYLOADS.exists():
        write_json(PAYLOADS, read_json(releases.source(str(releases.stable())) / "model/golden.json")["rows"])
    command = ["env", "k6", "run", "--quiet", "--no-usage-report", "-e", f"RATE_FACTOR={factor}"]
    command += ["-e", f"DURATION={duration}", "--summary-export", str(SUMMARY), "ops/derived/load.js"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 99):  # 99: a threshold was crossed, which is a result
        raise config.Problem(f"load: k6 failed: {done.stderr.strip()[-200:]}; `make setup` installs k6")
    return dict(read_json(SUMMARY)["metrics"])
