"""What a fault needs: what it is, a scratch copy of the repo to break, the real verbs, patience."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import polars as pl
import yaml

from ... import ingest as yours_ingest
from .. import config
from ..stages import FEATURES, HISTORY, RAW, VALID

PACKAGE = Path(__file__).parents[2].name
FAULTS = yaml.safe_load(Path(__file__).with_name("faults.yaml").read_text(encoding="utf-8"))
LIVE, OFFLINE = FAULTS["live"], FAULTS["offline"]  # name: facts
Found = TypeVar("Found")


class DoesNotApply(Exception):
    """The data or the contract leaves no room for a fault; the message says why."""


class Alarm(NamedTuple):
    """What a detector said, how many seconds after the injection, and how the fault was answered."""

    said: str
    seconds: float = 0.0
    answer: str = ""


def copy_repo(root: Path) -> None:
    """Copy code and promises, without data, models and releases."""
    for name in ("contract.yaml", "slo.yaml", "params.yaml", "bentofile.yaml", "requirements-serve.txt"):
        shutil.copy(name, root)
    for name in ("src", "ops", ".github"):
        shutil.copytree(name, root / name)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield a temporary copy of the repo, to break; rows of the live period stay out of its data."""
    before = pl.col(config.contract().clock) < config.params().split.evaluate_until
    with tempfile.TemporaryDirectory(prefix="rehearse-") as folder:
        root = Path(folder)
        copy_repo(root)
        shutil.copytree("model", root / "model")
        (root / "releases").symlink_to(Path("releases").resolve())
        (root / "source").mkdir()
        for path in yours_ingest.files(config.params().source):
            (root / "source" / path.name).symlink_to(path.resolve())
        (root / "data").mkdir()
        for name in (RAW, VALID, FEATURES):
            pl.scan_parquet(name).filter(before).sink_parquet(root / name)
        (root / HISTORY).symlink_to(HISTORY.resolve())
        yield root


def misfit() -> tuple[str, Any, Any]:
    """Return a column, a number if there is one, a value of another type, and one beyond its limits."""
    columns = config.contract().columns
    name = min(columns, key=lambda name: columns[name].type not in ("number", "integer"))
    wrong: Any = 5 if columns[name].type in ("string", "datetime") else "39.5"
    return name, wrong, 1e300 if columns[name].type in ("number", "integer") else wrong


def refusal(root: Path, verb: str) -> str:
    """Run a verb in a copy of the repo, beside the live stack; return why it refused, nothing if it did not."""
    command = ["nice", sys.executable, "-m", f"{PACKAGE}.production", *verb.split()]
    extra = {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, cwd=root, env=os.environ | extra, capture_output=True, text=True)
    if done.returncode > 1 or "Traceback" in done.stderr:
        raise config.Problem(f"{verb} broke: {done.stderr.strip().splitlines()[-1]}")
    return done.stderr.strip() if done.returncode else ""


def wait_for(look: Callable[[], Found], seconds: float, pause: float = 0.2) -> Found:
    """Look until something is found, at most so long; return what was seen last."""
    deadline = time.time() + seconds
    while not (found := look()) and time.time() < deadline:
        time.sleep(pause)
    return found
