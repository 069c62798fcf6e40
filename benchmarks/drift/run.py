"""Measure what `make watch` costs on a log of a million answered rows, beside Evidently and SciPy.

Ours does all it does every day: it reads the log, joins labels, judges each column, writes verdict
and metrics. The others are given the same columns as Parquet, and only test for drift. Each is a
process of its own: CPU seconds and peak memory of the whole of it, imports included.
"""

import argparse
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import polars as pl
import yaml

HERE = Path(__file__).resolve().parent
FILE = 50_000  # rows of the log in a file, as the service writes them: 16 MiB of JSON
OURS = "from {package}.production import watch; watch.watch()"
EVIDENTLY = """
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
reference, window = pd.read_parquet("reference.parquet"), pd.read_parquet("window.parquet")
Report([DataDriftPreset()]).run(window, reference).dict()
"""
IMPORTS = "import numpy, polars"  # no engine that uses them takes less
SCIPY = """
import polars as pl
from scipy.stats import chi2_contingency, ks_2samp
reference, window = pl.read_parquet("reference.parquet"), pl.read_parquet("window.parquet")
for name in window.columns:
    if window.schema[name] == pl.String:
        a, b = (each[name].value_counts() for each in (reference, window))
        chi2_contingency(a.join(b, on=name).select("count", "count_right").to_numpy())
    else:
        ks_2samp(*(each[name].drop_nulls().to_numpy() for each in (reference, window)))
"""


def prepare(project: Path, folder: Path, rows: int) -> None:
    """Copy what watch reads, and log rows of the past as if answered in one window."""
    for name in ("ops", "releases"):
        shutil.copytree(project / name, folder / name)
    for name in ("contract.yaml", "slo.yaml", "params.yaml"):
        shutil.copy(project / name, folder)
    release = json.loads((project / "reports/package.json").read_text())["release"]
    event = {"at": 0, "event": "deployed", "release": release}
    (folder / "releases/ledger.jsonl").write_text(json.dumps(event) + "\n")
    contract = yaml.safe_load((folder / "contract.yaml").read_text())
    params = yaml.safe_load((folder / "params.yaml").read_text())
    days = json.loads((folder / "ops/derived/watch.json").read_text())["window_days"]
    valid = pl.read_parquet(project / "data/valid.parquet")
    columns = list(contract["columns"])
    valid.select(columns).head(100_000).write_parquet(folder / "reference.parquet")
    start = pl.Series([params["split"]["evaluate_until"]]).str.to_datetime(time_unit="us")[0]
    (folder / "run/blue").mkdir(parents=True)
    windows = []
    for part in range(0, rows, FILE):
        size = min(FILE, rows - part)
        frame = valid.sample(size, with_replacement=True, seed=part)
        at = pl.int_range(part, part + size, eager=True) / rows
        when = pl.Series([start]).new_from_index(0, size) + at * timedelta(days=days)
        frame = frame.select(columns).with_columns(when.alias(contract["time"]))
        windows.append(folder / f"window-{part}.parquet")
        frame.select(columns).write_parquet(windows[-1])
        history = [pl.lit(0.2).alias(name) for name in contract["history"]]
        log = frame.select(
            pl.format("r{}", pl.int_range(part, part + size)).alias("id"),
            pl.lit(release).alias("release"),
            (1.4e9 + at * 86400 * days).alias("at"),
            (at % 1).alias("prediction"),
            pl.struct(*columns, contract["time"], *history).alias("row"),
        )
        log.write_parquet(folder / f"run/blue/predictions-{part}-0.parquet")
    pl.scan_parquet(windows).sink_parquet(folder / "window.parquet")


# A process inherits the peak memory of the one that starts it: a small one stands between.
BETWEEN = """
import json, os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measure(code: str, folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Return CPU seconds and peak MB of a process."""
    command = [sys.executable, "-ISc", BETWEEN, sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"an engine broke: {done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--project", type=Path, required=True, help="one that has packaged")
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    project, found, large = given.project.resolve(), {}, {}
    (package,) = (path.parent.name for path in (project / "src").glob("*/production"))
    sys.path.insert(0, source := str(project / "src"))
    lean = importlib.import_module(f"{package}.production.monitor").LEAN  # as it starts watch
    environment = os.environ | {"PYTHONPATH": source} | lean
    engines = {"ours": OURS.format(package=package), "Evidently": EVIDENTLY, "SciPy": SCIPY}
    engines["imports of Polars and NumPy"] = IMPORTS
    for rows in (given.rows, 10 * given.rows):
        with tempfile.TemporaryDirectory() as name:
            prepare(project, folder := Path(name), rows)
            if rows > given.rows:
                large = measure(engines["ours"], folder, environment)
                continue
            for engine, code in engines.items():
                runs = [measure(code, folder, environment) for _ in range(given.rounds)]
                found[engine] = {
                    key: statistics.median(run[key] for run in runs) for key in runs[0]
                }
                print(engine, found[engine], flush=True)
    facts = {"rows": given.rows, "rounds": given.rounds, "cores": os.cpu_count()}
    facts |= {"engines": found, "ours_at_ten_times": large}
    (HERE / "results.json").write_text(json.dumps(facts, indent=1) + "\n")
    lines = [
        f"A log of {given.rows:,} rows by 18 columns in one window, medians of {given.rounds}:",
        "",
        "| engine | CPU, s | peak memory, MB | ours by it: CPU | memory |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, cost in found.items():
        cpu, memory = (found["ours"][key] / cost[key] for key in ("cpu_s", "peak_mb"))
        told = "| {} | {cpu_s:.2f} | {peak_mb:.0f} | {:.3f} | {:.3f} |"
        lines.append(told.format(name, cpu, memory, **cost))
    told = "Ours at {:,} rows: {cpu_s:.1f} s, {peak_mb:.0f} MB."
    lines += ["", told.format(10 * given.rows, **large)]
    (HERE / "results.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
