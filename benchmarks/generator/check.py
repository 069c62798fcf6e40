"""Time `scaffold check` on a repository of 20,000 files: seconds, the median of five runs.

python benchmarks/check.py [FILES]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 5
PYTHON = '"""Module {n}."""\n\nimport numpy as np\n\n' + "".join(
    f"\ndef step_{{n}}_{part}(rows, weights):\n"
    f"    scaled = rows * weights[{part}] + np.mean(rows)\n"
    f"    return scaled.clip(-{part}, {part})\n"
    for part in range(20)
)
WORKFLOW = "jobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n      - run: pytest\n"
RULES = 'groups:\n- rules:\n  - alert: A{n}\n    expr: "up == 0"\n    labels: {{severity: page}}\n'
KINDS = (  # Of a hundred files: how many, where, and what they say.
    (60, "src/part_{part}/module_{n}.py", PYTHON),
    (15, "tests/part_{part}/test_{n}.py", PYTHON),
    (10, "conf/part_{part}/settings_{n}.yaml", "name: settings\nvalues: [1, 2, 3]\n" * 20),
    (1, "ops/part_{part}/rules_{n}.yml", RULES),
    (14, "docs/part_{part}/page_{n}.md", "# Page {n}\n\nWords and more words.\n" * 30),
)


def build(root: Path, files: int) -> None:
    """Write a repository of so many files, all of them tracked."""
    for part in range(files // 100):
        for count, place, text in KINDS:
            for n in range(count):
                path = root / place.format(part=part, n=n)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text.replace("{n}", str(n)), encoding="utf-8")
    (root / ".github/workflows").mkdir(parents=True)
    (root / ".github/workflows/ci.yml").write_text(WORKFLOW, encoding="utf-8")
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=root, check=True)


def seconds(root: Path) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "scaffold", "check", root]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 2:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start


def main() -> None:
    files = int(sys.argv[1]) if sys.argv[1:] else 20_000
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), files)
        times = [seconds(Path(folder)) for _ in range(RUNS)]
        megabytes = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file()) / 1e6
    each = ", ".join(f"{value:.2f}" for value in times)
    print(f"{files} files, {megabytes:.0f} MB with git: {statistics.median(times):.2f} s ({each})")


if __name__ == "__main__":
    main()
