"""Serve one model in six ways and measure what each costs: same rows, same machine, one run.

Each server gets one core and k6 the others. CPU is that of the server's whole process tree. Every
cell is the median of several rounds; servers take turns, so that a busy minute hits them alike.
"""

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import report

HERE = Path(__file__).resolve().parent
RIVALS, WORK = HERE / "rivals", HERE / ".work"
MODEL = ["lightgbm", "msgspec", "numpy", "pydantic", "PyYAML"]  # pinned as in the emitted project
CELLS = [(rows, clients) for rows in (1, 32) for clients in (1, 16, 64)]
OPEN_RATE = 900
LAST_CORE = max(os.sched_getaffinity(0))


class Server(NamedTuple):
    """One way to serve: what it needs, how it starts, and where it takes a batch."""

    needs: list[str]
    command: list[str]
    batch: str = "/predict"


UVICORN = ["uvicorn", "--host=127.0.0.1", "--log-level=warning", "--no-access-log", "--port={port}"]
LOOP = ["uvloop==0.23.0", "httptools==0.9.0"]
BENTO = ["-m", "bentoml", "serve", "--host=127.0.0.1", "--port={port}"]
SERVERS = {
    "ours": Server([], [*BENTO, "."]),
    "bare ASGI": Server(["uvicorn==0.54.0", *LOOP], ["-m", *UVICORN, "bare_asgi:app"]),
    "FastAPI": Server(
        ["fastapi==0.165.0", "uvicorn==0.54.0", *LOOP],
        ["-m", *UVICORN, "plain_fastapi:app"],
        "/batch",
    ),
    "BentoML": Server(["bentoml==1.4.39", *LOOP], [*BENTO, "stock_bentoml:Flights"], "/batch"),
    "LitServe": Server(["litserve==0.2.19", *LOOP], ["plain_litserve.py", "{port}"]),
    "Ray Serve": Server(["ray[serve]==2.60.0", *LOOP], ["plain_ray.py", "{port}"], "/batch"),
}
EMPTY = "empty BentoML"  # without a model: no BentoML service is ready sooner
STARTED = SERVERS | {EMPTY: Server(SERVERS["BentoML"].needs, [*BENTO, "empty_bentoml:Empty"])}


class Usage(NamedTuple):
    """What a process tree has used: CPU seconds so far, and proportional memory in MB now."""

    cpu_s: float
    memory_mb: float


def usage(root: psutil.Process) -> Usage:
    cpu = memory = 0.0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):  # it may be gone by now
            cpu += sum(process.cpu_times()[:2])
            memory += process.memory_full_info().pss / 1e6
    return Usage(cpu, memory)


def interpreter(name: str, project: Path) -> Path:
    """Return the Python of a server: the project's own for ours, else a venv that uv makes once."""
    if name == "ours":
        return project / ".venv/bin/python"
    venv = WORK / name.lower().replace(" ", "-")
    if not (venv / "ready").exists():
        print(f"bench: installing {name}", file=sys.stderr)
        pins = (project / "requirements-serve.txt").read_text().splitlines()
        shared = [pin for pin in pins if pin.split("==")[0] in MODEL]
        subprocess.run(
            ["uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable, venv],
            check=True,
        )
        install = ["uv", "pip", "install", "--quiet", "--python", venv / "bin/python"]
        subprocess.run([*install, *shared, *STARTED[name].needs], check=True)
        (venv / "ready").touch()
    return venv / "bin/python"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def post(url: str, body: Any) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


@contextlib.contextmanager
def serving(
    name: str, project: Path, release: Path, row: Any
) -> Iterator[tuple[str, psutil.Process, float]]:
    """Start a server; yield its address, its process, and the seconds until it answered a row."""
    python, port = interpreter(name, project), free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        extra = {
            "RELEASE": str(release / "src"),
            "HISTORY": str(project / "data/history.sqlite"),
            "RUN_DIR": f"{folder}/run",
            "BENTOML_HOME": f"{folder}/bentoml",
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_CONFIG_OPTIONS": f"services.{package(release)}.workers=1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        Path(extra["BENTOML_HOME"]).mkdir()
        command = [str(python), *(part.format(port=port) for part in STARTED[name].command)]
        begun, log = time.perf_counter(), (WORK / f"{name}.log").open("wb")
        started = subprocess.Popen(
            ["taskset", "--cpu-list", str(LAST_CORE), *command],
            cwd=release if name == "ours" else RIVALS,
            env=os.environ | extra,
            stdout=log,
            stderr=log,
        )
        tree = psutil.Process(started.pid)
        try:
            url = f"http://127.0.0.1:{port}"
            while not answers(f"{url}/predict", row):
                if started.poll() is not None or time.perf_counter() - begun > 120:
                    raise SystemExit(f"bench: {name} does not start; see {log.name}")
                time.sleep(0.02)
            yield url, tree, time.perf_counter() - begun
        finally:
            family = [*tree.children(recursive=True), tree]
            started.terminate()
            psutil.wait_procs(family, timeout=10)
            for process in family:
                with contextlib.suppress(psutil.Error):
                    process.kill()


def answers(url: str, row: Any) -> bool:
    try:
        return "probability" in post(url, row)
    except OSError:
        return False


def package(release: Path) -> str:
    return next((release / "src").glob("*/production")).parent.name


def load(url: str, payloads: Path, seconds: float, **environment: Any) -> dict[str, float]:
    """Let k6 ask for so long; return requests, failures, and latencies in milliseconds."""
    summary = WORK / "summary.json"
    given = {"URL": url, "PAYLOADS": payloads, "DURATION": f"{seconds}s"} | environment
    words = [word for key, value in given.items() for word in ("-e", f"{key}={value}")]
    others = ",".join(str(core) for core in os.sched_getaffinity(0) if core != LAST_CORE) or "0"
    k6 = ["taskset", "--cpu-list", others, "k6", "run", "--quiet", "--no-usage-report"]
    command = [*k6, *words, "--summary-export", str(summary), str(HERE / "load.js")]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads(summary.read_text())["metrics"]
    took, count = found["http_req_duration"], found["http_reqs"]
    return {
        "requests": count["count"],
        "per_second": count["rate"],
        "p50_ms": took["p(50)"],
        "p99_ms": took["p(99)"],
        "failed": found.get("failed", {}).get("count", 0),
    }


def measure(name: str, project: Path, release: Path, seconds: float) -> dict[str, Any]:
    """Start one server, hold its answers against the golden ones, and measure every cell."""
    golden = json.loads((release / "src/model/golden.json").read_text())
    one, many = WORK / "one.json", WORK / "many.json"
    one.write_text(json.dumps(golden["rows"]))
    many.write_text(json.dumps([golden["rows"][at : at + 32] for at in range(10)]))
    found: dict[str, Any] = {}
    with serving(name, project, release, golden["rows"][0]) as (url, tree, ready):
        batch = f"{url}{SERVERS[name].batch}"
        if post(batch, golden["rows"])["predictions"] != golden["answers"]:
            raise SystemExit(f"bench: {name} answers something else")
        load(f"{url}/predict", one, min(seconds, 2), CLIENTS=4)  # warm
        for rows, clients in CELLS:
            before = usage(tree)
            told = load(
                url + "/predict" if rows == 1 else batch,
                one if rows == 1 else many,
                seconds,
                CLIENTS=clients,
            )
            told["cpu_us"] = 1e6 * (usage(tree).cpu_s - before.cpu_s) / told["requests"]
            found[f"{rows} x {clients}"] = told
        before = usage(tree)
        told = load(f"{url}/predict", one, seconds, RATE=OPEN_RATE)
        told["cpu_us"] = 1e6 * (usage(tree).cpu_s - before.cpu_s) / told["requests"]
        found["open"] = told
        if name == "ours":
            found["log"] = log_cost(project, release)
            with serving(EMPTY, project, release, golden["rows"][0]) as (_, _, empty):
                found["empty"] = {"ready_s": empty}
        found["server"] = {"ready_s": ready, "memory_mb": usage(tree).memory_mb}
    return found


# What one write to the prediction log takes, in the wall's microseconds and in CPU's.
WRITES = """
import json, pathlib, sys, tempfile, time
sys.path.insert(0, sys.argv[1])
(name,) = (path.parent.name for path in pathlib.Path(sys.argv[1]).glob("*/production"))
log = __import__(f"{name}.production.predictions", fromlist=["_"]).PredictionLog
row = json.loads((pathlib.Path(sys.argv[1]) / "model/golden.json").read_text())["rows"][0]
with tempfile.TemporaryDirectory(dir=".") as folder:
    log, took, cpu = log(pathlib.Path(folder), print), [], time.process_time()
    for n in range(20_000):
        start = time.perf_counter()
        log.put([{"id": f"{n:024x}", "prediction": 0.123, "row": row, "release": "r", "at": 1.5}])
        took.append(time.perf_counter() - start)
    cpu = (time.process_time() - cpu) / len(took)
print(json.dumps({"cpu_us": 1e6 * cpu, "p99_us": 1e6 * sorted(took)[int(0.99 * len(took))]}))
"""


def log_cost(project: Path, release: Path) -> dict[str, float]:
    command = [interpreter("ours", project), "-c", WRITES, release / "src"]
    done = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure over the rounds."""
    cells = rounds[0]
    return {
        cell: {
            key: round(statistics.median(each[cell][key] for each in rounds), 3)
            for key in cells[cell]
        }
        for cell in cells
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument(
        "--project", type=Path, required=True, help="an emitted project with a release"
    )
    words.add_argument("--only", default=",".join(SERVERS), help="some servers, by comma")
    words.add_argument(
        "--quick", action="store_true", help="a second per cell, one round: no figures"
    )
    words.add_argument("--seconds", type=float, default=4)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--out", type=Path, default=HERE)
    given = words.parse_args()
    seconds, rounds = (1, 1) if given.quick else (given.seconds, given.rounds)
    WORK.mkdir(exist_ok=True)
    stable = json.loads((given.project / "reports/package.json").read_text())["release"]
    release = given.project.resolve() / "releases" / stable / "bento"
    taken: dict[str, list[Any]] = {name: [] for name in given.only.split(",")}
    for turn in range(rounds):
        for name, measured in taken.items():
            measured.append(measure(name, given.project.resolve(), release, seconds))
            cell = measured[-1]["1 x 16"]
            told = f"{cell['cpu_us']:7.0f} us CPU, {cell['per_second']:6.0f}/s"
            print(f"{turn + 1}/{rounds} {name:<10} {told}", flush=True)
        write(taken, seconds, given.out)  # after each round: the run is long


def write(taken: dict[str, list[Any]], seconds: float, out: Path) -> None:
    """Write the figures as JSON, as a table and as a picture."""
    about = {
        "machine": f"{os.cpu_count()} cores {platform.machine()}",
        "seconds": seconds,
        "rounds": len(next(iter(taken.values()))),
        "load": round(os.getloadavg()[0], 1),
    }
    found = {"about": about, "servers": {name: medians(each) for name, each in taken.items()}}
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(found, indent=2) + "\n")
    (out / "results.md").write_text(report.table(found, OPEN_RATE))
    report.picture(found, out / "results.png")


if __name__ == "__main__":
    main()
