"""Measure the highest rate at which one replica keeps the latency promise: open-model load on the running stack."""

import math
import os
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from . import config, promises, releases, stack
from .stages import read_json, write_json

CAPACITY, SUMMARY, PAYLOADS = Path("ops/capacity.json"), Path("run/load.json"), Path("run/payloads.json")
WINDOW, WINDOWS, LONGEST = "4s", 3, 150  # seconds of search, then the last candidate is confirmed or lowered


def capacity() -> None:
    """Write ops/capacity.json, which the next `make plan` reads."""
    slot, slo = stack.serving_slot(), config.slo()
    if not (stack.is_ready("proxy") and stack.is_ready(slot)):
        raise config.Problem("capacity: the stack does not run; `make up` starts it")
    PAYLOADS.unlink(missing_ok=True)  # another release may have left it; ours answers its own golden rows
    url = f"http://127.0.0.1:{stack.port(slot)}/predict"  # past the proxy, which admits what was planned
    seen = list[float]()  # the p99 of each rate that was kept

    def kept(rate: float) -> bool:
        """Offer a rate; return whether all promises were kept."""
        metrics = run(rate / slo.peak_rps, WINDOW, URL=url, VUS=str(math.ceil(20 + 2 * rate * slo.latency_s)))
        p99 = metrics["http_req_duration{status:200}"]["p(99)"]
        share = max(metrics[name]["value"] for name in ("failed", "shed"))
        good = p99 <= 1000 * slo.latency_s and not metrics.get("dropped_iterations", {}).get("count")
        good &= share <= 1 - slo.objectives.availability_percent.target / 100
        said = f"p99 {p99:.1f} ms, {share:.2%} not answered"
        print(f"capacity: {rate:6.0f} a second: {said}: {'kept' if good else 'broken'}", flush=True)
        if good:
            seen.append(p99)
        return bool(good)

    if not kept(low := max(1.0, slo.peak_rps / 4)):
        raise config.Problem("capacity: a quarter of the peak breaks the promise; use a cheaper model or promise less")
    highest = _highest(kept, low)
    found = {"generated": "by `make capacity`", "highest_rps": math.floor(highest), "floor_ms": round(min(seen), 1)}
    found |= {"machine": f"{os.cpu_count()} cores {os.uname().machine}", "date": str(date.today())}
    planned = promises.follow(promises.inputs())["replica_rps"]
    write_json(CAPACITY, found)
    said = f"one replica keeps {highest:.0f} a second, {WINDOWS} windows in a row; planned so far: {planned:g}"
    print(f"capacity: {said}; `make plan` takes it from here")


def _highest(kept: Callable[[float], bool], low: float) -> float:
    """Return the highest rate that is kept in several windows in a row: doubled, then halved in, then confirmed."""
    high, end = 2 * low, time.time() + LONGEST
    while kept(high) and time.time() < end:
        low, high = high, 2 * high
    while high / low > 1.1 and time.time() < end:
        low, high = (middle, high) if kept(middle := math.sqrt(low * high)) else (low, middle)
    while not all(kept(low) for _ in range(WINDOWS)):
        if (low := 0.85 * low) < 1 or time.time() > end + LONGEST:
            raise config.Problem("capacity: no rate is kept for long; is the machine busy with something else?")
    return low


def run(factor: float = 1, duration: str = "20s", **settings: str) -> dict[str, Any]:
    """Send so many times the promised peak; return k6's metrics. Bodies: run/payloads.json, else the golden rows."""
    if not PAYLOADS.exists():
        write_json(PAYLOADS, read_json(releases.source(str(releases.stable())) / "model/golden.json")["rows"])
    command = ["env", "k6", "run", "--quiet", "--no-usage-report", "--summary-export", str(SUMMARY)]
    for name, value in {"RATE_FACTOR": factor, "DURATION": duration, **settings}.items():
        command += ["-e", f"{name}={value}"]
    done = subprocess.run([*command, "ops/derived/load.js"], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 99):  # 99: a threshold was crossed, which is a result
        raise config.Problem(f"load: k6 failed: {done.stderr.strip()[-200:]}; `make setup` installs k6")
    return dict(read_json(SUMMARY)["metrics"])
