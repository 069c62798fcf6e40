"""Time `scaffold update` against plain `copier update`: the median of several runs, in seconds."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
RUNS = 7
WHO = ["-c", "user.name=b", "-c", "user.email=b@localhost"]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *WHO, *arguments], cwd=folder, check=True, capture_output=True)


def prepared(desk: Path) -> tuple[Path, Path]:
    """Return a template with two versions that differ in five files, and an edited project."""
    template, project = desk / "template", desk / "project"
    git(desk, "clone", "--quiet", str(ROOT), str(template))
    for path in ("copier.yml", "template"):  # Also what is not committed yet.
        place = template / path
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        source = ROOT / path
        shutil.copytree(source, place) if source.is_dir() else shutil.copy(source, place)
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "--allow-empty", "--message", "one")
    git(template, "tag", "v900.0.0")
    command = [f"{BIN}/scaffold", "new", project, "--defaults", "--template", template]
    subprocess.run(command, check=True, capture_output=True)
    for number, file in enumerate(sorted((template / "template/project").rglob("*.py"))[:5]):
        file.write_text(file.read_text() + f"\n# {number}\n")
    git(template, "commit", "--quiet", "--all", "--message", "two")
    git(template, "tag", "v900.1.0")
    for file in ("Makefile", "ops/runbook.md", "dvc.yaml"):
        (project / file).write_text("# Mine.\n" + (project / file).read_text())
    git(project, "commit", "--quiet", "--all", "--no-verify", "--message", "mine")
    return template, project


def seconds(command: list[str], project: Path, desk: Path) -> float:
    """Run one command in a fresh copy of the project; return how long it took."""
    copy = desk / "copy"
    shutil.copytree(project, copy)
    git(copy, "status")  # The copy has other inodes: let git read them once.
    begun = time.perf_counter()
    subprocess.run(command, cwd=copy, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    took = time.perf_counter() - begun
    shutil.rmtree(copy)
    return took


def main() -> None:
    """Print the medians, and write them to benchmarks/update.json."""
    commands = {
        "copier update": [f"{BIN}/copier", "update", "--defaults", "--quiet"],
        "scaffold update": [f"{BIN}/scaffold", "update", "--yes"],
        "scaffold update --dry-run": [f"{BIN}/scaffold", "update", "--dry-run"],
    }
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    took: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        _, project = prepared(Path(folder))
        for _ in range(RUNS):  # In turns: what disturbs one disturbs the others.
            for name, command in commands.items():
                took[name].append(seconds(command, project, Path(folder)))
    medians = {name: round(statistics.median(each), 2) for name, each in took.items()}
    for name, median in medians.items():
        print(f"{name:26} {median:6.2f} s  (median of {RUNS})")
    (ROOT / "benchmarks/update.json").write_text(json.dumps(medians, indent=2) + "\n")


if __name__ == "__main__":
    main()
