"""What a fault needs: a scratch copy of the repo to break, the running stack, the traffic."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from .. import config
from .traffic import Traffic

PACKAGE = Path(__file__).parents[2].name


@dataclass
class Alarm:
    """What a detector said, how many seconds after the injection, and how the fault was answered."""

    said: str
    seconds: float = 0.0
    answer: str = ""


class Fault(NamedTuple):
    """One way in which AI projects die, and the part that claims to catch it.

    `run(lab, broken)` returns the alarm, None if all is quiet. With `broken=False` nothing is injected: that is
    the control, and it must stay quiet.
    """

    id: str
    dies: str
    by: str
    live: bool
    run: Callable[["Lab", bool], Alarm | None]


Run = Callable[["Lab", bool], Alarm | None]
FAULTS: dict[str, Fault] = {}


def fault(dies: str, by: str, live: bool = False) -> Callable[[Run], Run]:
    """Register a fault under its function's name."""

    def register(run: Run) -> Run:
        name = run.__name__.replace("_", "-")
        FAULTS[name] = Fault(name, dies, by, live, run)
        return run

    return register


def copy_repo(root: Path) -> None:
    """Copy code and promises, without data, models and releases."""
    for name in ("contract.yaml", "slo.yaml", "params.yaml", "bentofile.yaml", "requirements-serve.txt"):
        shutil.copy(name, root)
    for name in ("src", "ops", ".github"):
        shutil.copytree(name, root / name)


class Scratch:
    """A copy of the repo in a temporary folder: break it, run the real verbs, read what they say."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def verb(self, *words: str) -> str:
        """Run a verb beside the live stack; return the message with which it refused, or nothing."""
        command = ["nice", sys.executable, "-m", f"{PACKAGE}.production", *words]
        extra = {"PYTHONPATH": str(self.root / "src")}
        done = subprocess.run(command, cwd=self.root, env=os.environ | extra, capture_output=True, text=True)
        if done.returncode > 1 or "Traceback" in done.stderr:
            raise config.Problem(f"{words[0]} broke: {done.stderr.strip().splitlines()[-1]}")
        return done.stderr.strip() if done.returncode else ""

    def expect(self, broken: str, answer: str, *words: str) -> Alarm | None:
        """Run a verb; its refusal is an alarm only if it names what was broken."""
        start = time.time()
        lines = [line for line in self.verb(*words).splitlines() if broken in line]
        return Alarm(lines[0], time.time() - start, answer) if lines else None

    def change(self, path: Path, *columns: pl.Expr) -> None:
        """Rewrite columns of a Parquet file."""
        pl.read_parquet(self.root / path).with_columns(*columns).write_parquet(self.root / path)

    def promise(self, key: str, value: float) -> None:
        """Rewrite one top-level number of slo.yaml."""
        lines = (self.root / "slo.yaml").read_text(encoding="utf-8").splitlines()
        changed = [f"{key}: {value:g}" if line.startswith(f"{key}:") else line for line in lines]
        (self.root / "slo.yaml").write_text("\n".join(changed), encoding="utf-8")


class Lab:
    """The rehearsal's bench; live faults need the traffic of the running stack."""

    traffic: Traffic

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    @contextlib.contextmanager
    def scratch(self, *data: Path) -> Iterator[Scratch]:
        """Copy the repo, with the named data files; rows of the live period stay out."""
        contract, until = config.contract(), config.params().split.evaluate_until
        with tempfile.TemporaryDirectory(prefix="rehearse-") as folder:
            root = Path(folder)
            copy_repo(root)
            shutil.copytree("model", root / "model")
            (root / "releases").symlink_to(Path("releases").resolve())
            (root / "data").mkdir()
            for name in data:
                pl.scan_parquet(name).filter(pl.col(contract.time) < until).sink_parquet(root / name)
            yield Scratch(root)

    def say(self, text: str) -> None:
        """Show progress, with the time of the data."""
        now = f" [{self.traffic.event_time()[:10]}]" if hasattr(self, "traffic") else ""
        print(f"{time.strftime('%H:%M:%S')}{now} {text}", flush=True)


def wait_for(found: Callable[[], str | None], seconds: float) -> str | None:
    """Ask until something is found, at most so long."""
    deadline = time.time() + seconds
    while not (said := found()) and time.time() < deadline:
        time.sleep(0.2)
    return said
