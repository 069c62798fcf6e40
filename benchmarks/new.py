"""Time `scaffold new` against plain `copier copy`: the median of several runs, in seconds."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
RUNS = 7


def seconds(command: list[str]) -> float:
    """Run one command in a folder of its own; return how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - begun


def main() -> None:
    """Print the medians, and write them to benchmarks/results.json."""
    commands = {
        "copier copy": [f"{BIN}/copier", "copy", "--defaults", "--vcs-ref=HEAD", str(ROOT), "x"],
        "scaffold new": [f"{BIN}/scaffold", "new", "x", "--defaults"],
        "scaffold --help": [f"{BIN}/scaffold", "--help"],
    }
    medians = {}
    for name, command in commands.items():
        medians[name] = round(statistics.median(seconds(command) for _ in range(RUNS)), 2)
        print(f"{name:16} {medians[name]:6.2f} s  (median of {RUNS})")
    (ROOT / "benchmarks/results.json").write_text(json.dumps(medians, indent=2) + "\n")


if __name__ == "__main__":
    main()
