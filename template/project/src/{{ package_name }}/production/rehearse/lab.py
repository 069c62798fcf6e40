"""What a fault needs: a scratch copy of the repo to break, the running stack, the traffic."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from .. import config
from .traffic import Traffic

PACKAGE = Path(__file__).parents[2]


@dataclasses.dataclass
class Alarm:
    """What a detector said, how long after the injection, and how the fault was answered."""

    said: str
    seconds: float
    answer: str


@dataclasses.dataclass(frozen=True)
class Fault:
    """One way in which AI projects die. `run(lab, broken)` returns the alarm, None if all is quiet.

    With `broken=False` nothing is injected: that is the control, and it must stay quiet.
    """

    id: str
    dies: str
    by: str
    run: Callable[["Lab", bool], Alarm | None]
    live: bool


FAULTS: dict[str, Fault] = {}


def fault(
    dies: str, by: str, live: bool = False
) -> Callable[[Callable[["Lab", bool], Alarm | None]], Callable[["Lab", bool], Alarm | None]]:
    """Register a fault under its function's name."""

    def register(
        run: Callable[["Lab", bool], Alarm | None],
    ) -> Callable[["Lab", bool], Alarm | None]:
        name = run.__name__.replace("_", "-")
        FAULTS[name] = Fault(name, dies, by, run, live)
        return run

    return register


class Scratch:
    """A copy of the repo in a temporary folder: break it, run the real verbs, read what they say."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def verb(self, *words: str) -> tuple[bool, str]:
        """Run a verb; return whether it was refused with a message of ours, and the message."""
        command = [sys.executable, "-m", f"{PACKAGE.name}.production", *words]
        environment = os.environ | {"PYTHONPATH": str(self.root / "src")}
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        refused = done.returncode == 1 and "Traceback" not in done.stderr
        if done.returncode and not refused:
            raise config.Problem(f"rehearse: {words[0]} broke: {done.stderr[-500:]}")
        return refused, done.stderr.strip()

    def expect(self, broken_by: str, answer: str, *words: str) -> Alarm | None:
        """Run a verb; an alarm counts only if it names what was broken."""
        start = time.time()
        refused, said = self.verb(*words)
        if not refused or broken_by not in said:
            return None
        line = next(line for line in said.splitlines() if broken_by in line)
        return Alarm(line, time.time() - start, answer)

    def change(self, name: str, *columns: pl.Expr, drop: str = "") -> None:
        """Rewrite a Parquet file with columns changed or dropped."""
        frame = pl.read_parquet(self.root / name).with_columns(*columns)
        frame.drop([drop] if drop else []).write_parquet(self.root / name)

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace text in a file; the text must be there."""
        text = (self.root / name).read_text(encoding="utf-8")
        if old not in text:
            raise config.Problem(f"rehearse: {name} does not hold {old!r}")
        (self.root / name).write_text(text.replace(old, new), encoding="utf-8")


class Lab:
    """The rehearsal's bench; live faults need the running stack and its traffic."""

    def __init__(self, traffic: Traffic | None = None) -> None:
        self._traffic = traffic
        self.kept: dict[str, Any] = {}

    @property
    def traffic(self) -> Traffic:
        if self._traffic is None:
            raise config.Problem("rehearse: this fault needs the running stack")
        return self._traffic

    @contextlib.contextmanager
    def scratch(self, *data: str) -> Iterator[Scratch]:
        """Copy the repo, with the named data folders; rows of the live period stay out."""
        with tempfile.TemporaryDirectory(prefix="rehearse-") as folder:
            root = Path(folder)
            for name in ["contract.yaml", "slo.yaml", "params.yaml", "bentofile.yaml"]:
                shutil.copy(name, root)
            shutil.copy("requirements-serve.txt", root)
            for name in ["src", "ops", ".github", *[d for d in data if not d.endswith(".parquet")]]:
                shutil.copytree(name, root / name)
            (root / "data").mkdir(exist_ok=True)
            contract, until = config.contract(), config.params().split.evaluate_until
            for name in [d for d in data if d.endswith(".parquet")]:
                rows = pl.scan_parquet(name).filter(pl.col(contract.time) < until)
                rows.collect().write_parquet(root / name)
            if Path("releases").exists():
                (root / "releases").symlink_to(Path("releases").resolve())
            yield Scratch(root)

    def say(self, text: str) -> None:
        """Show progress, with the time of the data."""
        now = f" [{self._traffic.event_time()[:10]}]" if self._traffic else ""
        print(f"{time.strftime('%H:%M:%S')}{now} {text}", flush=True)


def wait_for(found: Callable[[], str | None], seconds: float) -> str | None:
    """Ask until something is found, at most so long."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        if said := found():
            return said
        time.sleep(0.2)
    return None
