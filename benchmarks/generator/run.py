"""Time `scaffold new` and `update` beside Copier, cookiecutter and cruft on the same template.

python benchmarks/generator/run.py [RUNS]: medians and ratios go to results.{json,md,svg}.
Every command is a process of its own on a fresh copy; they take turns, so what disturbs one
disturbs the others.
"""

import importlib.metadata
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import check
import cookie
import report
from patches import patched

HERE, BIN = Path(__file__).resolve().parent, Path(sys.executable).parent
ROOT, WORK = HERE.parents[1], HERE / ".work"
RIVALS = [
    f"copier=={importlib.metadata.version('copier')}",
    "cookiecutter>=2.7,<3",
    "cruft>=2.16,<3",
]
CHANGED, FILES = 5, 20_000  # Files that a version changes; those of a large repository.
EDITED = ("Makefile", "ops/runbook.md", "dvc.yaml")
QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
WHO = {
    f"GIT_{role}_{what}": "b@localhost"
    for role in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


def run(*command: Any, cwd: Path) -> None:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def commit(folder: Path, message: str, tag: str = "") -> None:
    run("git", "add", "--all", "--force", cwd=folder)
    run("git", "commit", "--quiet", "--no-verify", "--message", message, cwd=folder)
    if tag:
        run("git", "tag", tag, cwd=folder)


def rivals() -> Path:
    """Install the others into an environment of their own; return where their commands are."""
    uv = shutil.which("uv") or f"{BIN}/uv"
    run(
        uv,
        "venv",
        "--quiet",
        "--allow-existing",
        "--python",
        sys.executable,
        WORK / "venv",
        cwd=ROOT,
    )
    run(uv, "pip", "install", "--quiet", "--python", WORK / "venv/bin/python", *RIVALS, cwd=ROOT)
    return WORK / "venv/bin"


class Desk:
    """The template in both forms, in two versions each, and a project of each with edits."""

    def __init__(self, folder: Path, theirs: Path) -> None:
        self.folder, self.theirs = folder, theirs
        self.template, self.cookie = folder / "template", folder / "cookie"
        self.template.mkdir()
        self.cookie.mkdir()
        shutil.copytree(ROOT / "template", self.template / "template")
        shutil.copy(ROOT / "copier.yml", self.template)
        plain = folder / "plain"
        run("git", "init", "--quiet", self.template, cwd=folder)
        commit(self.template, "one", "v1.0.0")
        run(theirs / "copier", "copy", "--defaults", "--quiet", self.template, plain, cwd=folder)
        self.files = sum(path.is_file() for path in plain.rglob("*"))
        (plain / ".copier-answers.yml").unlink()
        self.counts = cookie.convert(plain, self.cookie)
        (package,) = theirs.parent.glob("lib/*/site-packages/copier")
        self.patched = ["env", f"PYTHONPATH={patched(package, folder / 'patched')}"]
        run("git", "init", "--quiet", self.cookie, cwd=folder)
        commit(self.cookie, "one")

    def new(self) -> dict[str, list[Any]]:
        """Return the commands that make a project, in the folder where they are run."""
        copy = [self.theirs / "copier", "copy", "--defaults", "--quiet", self.template, "x"]
        return {
            "copier copy": copy,
            "copier copy, patched": [*self.patched, *copy],
            "scaffold new": [
                BIN / "scaffold",
                "new",
                "x",
                "--defaults",
                "--template",
                self.template,
            ],
            "cookiecutter": [self.theirs / "cookiecutter", "--no-input", self.cookie],
            "cruft create": [self.theirs / "cruft", "create", "--no-input", self.cookie],
        }

    def update(self) -> dict[str, list[Any]]:
        """Return the commands that update a project, in that project."""
        update = [self.theirs / "copier", "update", "--defaults", "--quiet"]
        return {
            "copier update": update,
            "copier update, patched": [*self.patched, *update],
            "scaffold update": [BIN / "scaffold", "update", "--yes"],
            "scaffold update --dry-run": [BIN / "scaffold", "update", "--dry-run"],
            "cruft update": [self.theirs / "cruft", "update", "--skip-apply-ask"],
        }

    def projects(self) -> dict[str, Path]:
        """Return a project of the first version, edited and committed, for Copier and for cruft."""
        found = {}
        for name, command in (
            ("copier", self.new()["scaffold new"]),
            ("cruft", self.new()["cruft create"]),
        ):
            place = self.folder / f"of-{name}"
            place.mkdir()
            run(*command, cwd=place)
            (found[name],) = place.iterdir()
            run("git", "init", "--quiet", cwd=found[name])
            for file in EDITED:
                path = found[name] / file
                path.write_text("# Mine.\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
            commit(found[name], "mine")
        return found

    def next_version(self) -> None:
        """Change the same files in both forms of the template."""
        for template, tag in ((self.template / "template/project", "v1.1.0"), (self.cookie, "")):
            for number, path in enumerate(sorted(template.rglob("production/*.py"))[:CHANGED]):
                path.write_text(
                    path.read_text(encoding="utf-8") + f"\n# {number}\n", encoding="utf-8"
                )
            commit(template, "two", tag)


def timed(
    commands: dict[str, list[Any]], place: Callable[[str], Path], runs: int
) -> dict[str, Any]:
    """Run each command so often, in turns; return seconds of wall clock and of CPU."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            folder = place(name)
            before, begun = _cpu(), time.perf_counter()
            run(*command, cwd=folder)
            took[name].append((time.perf_counter() - begun, _cpu() - before))
            shutil.rmtree(folder)
    walls, cpus = ({name: [run[n] for run in all_] for name, all_ in took.items()} for n in (0, 1))
    return {name: {"wall": _told(walls[name]), "cpu": _told(cpus[name])} for name in commands}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _told(seconds: list[float]) -> dict[str, float]:
    all_ = {"median": statistics.median(seconds), "best": min(seconds), "worst": max(seconds)}
    return {name: round(value, 2) for name, value in all_.items()}


def measured(runs: int) -> dict[str, Any]:
    """Measure everything in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        desk = Desk(folder, rivals())
        found = {"new": timed(desk.new(), lambda _: Path(tempfile.mkdtemp(dir=folder)), runs)}
        projects = desk.projects()
        desk.next_version()

        def copied(command: str) -> Path:
            place = Path(tempfile.mkdtemp(dir=folder)) / "copy"
            shutil.copytree(projects["cruft" if "cruft" in command else "copier"], place)
            run("git", "status", cwd=place)  # The copy has other inodes: let git read them once.
            return place

        found["update"] = timed(desk.update(), copied, runs)
        check.build(folder / "large", FILES)
        checked = statistics.median(check.seconds(folder / "large") for _ in range(runs))
        found["template"] = {"files": desk.files, **desk.counts}
        found["update of"] = {"changed": CHANGED, "edited": len(EDITED)}
        return {**found, "check": {"files": FILES, "wall": round(checked, 2)}}


def main() -> None:
    os.environ |= QUIET | WHO
    runs = int(sys.argv[1]) if sys.argv[1:] else 7
    found = {"runs": runs, **measured(runs)}
    cores, load = f"{os.cpu_count()} cores {platform.machine()}", os.getloadavg()[0]
    found["machine"] = f"{cores} with a load of {load:.1f} at the end"
    (HERE / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (HERE / "results.md").write_text(report.text(found), encoding="utf-8")
    (HERE / "results.svg").write_text(report.picture(found), encoding="utf-8")
    print(report.text(found), end="")


if __name__ == "__main__":
    main()
