"""What a fault needs: what it is, a scratch copy of the repo to break, the real verbs, patience."""

import contextlib
import http.client
import json
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
from .. import config, stack
from ..stages import FEATURES, HISTORY, RAW, VALID

PACKAGE = Path(__file__).parents[2].name
FAULTS = yaml.safe_load(Path(__file__).with_name("faults.yaml").read_text(encoding="utf-8"))
LIVE, OFFLINE = FAULTS["live"], FAULTS["offline"]  # name: facts
ALERTS = Path("run/alerts.jsonl")
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
    for name in ("src", "ops", ".github", "docs"):
        shutil.copytree(name, root / name)


def link_source(root: Path) -> None:
    """Let a copy of the repo see a source that lies beside the code, not in a package."""
    for source in (Path(config.params().source), Path("data/landed")):
        if source.exists() and not (root / source).exists():
            (root / source).parent.mkdir(parents=True, exist_ok=True)
            (root / source).symlink_to(source.resolve())


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
        wait_for(HISTORY.exists, 60)  # another fault may have it away
        (root / HISTORY).symlink_to(HISTORY.resolve())
        yield root


def misfit() -> tuple[str, Any, Any]:
    """Return a column, a number if there is one, a value of another type, and one beyond its limits."""
    columns = config.contract().columns
    name = min(columns, key=lambda name: columns[name].type not in ("number", "integer"))
    wrong: Any = 5 if columns[name].type in ("string", "datetime") else "39.5"
    return name, wrong, 1e300 if columns[name].type in ("number", "integer") else wrong


def refusal(root: Path, verb: str, notes: str = "") -> str:
    """Run a verb in a copy of the repo, beside the live stack; return why it refused, else what it said of `notes`."""
    command = ["nice", sys.executable, "-m", f"{PACKAGE}.production", *verb.split()]
    extra = {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, cwd=root, env=os.environ | extra, capture_output=True, text=True)
    if done.returncode > 1 or "Traceback" in done.stderr:
        raise config.Problem(f"{verb} broke: {done.stderr.strip().splitlines()[-1]}")
    told = [line for line in done.stdout.splitlines() if notes and notes in line]
    return done.stderr.strip() if done.returncode else "\n".join(told)


def wait_for(look: Callable[[], Found], seconds: float, pause: float = 0.2) -> Found:
    """Look until something is found, at most so long; return what was seen last."""
    deadline = time.time() + seconds
    while not (found := look()) and time.time() < deadline:
        time.sleep(pause)
    return found


def alerts(since: float, name: str = "", severity: str = "") -> list[str]:
    """Return who was told what since a moment, as the monitor wrote it down when it reached the webhook."""
    lines = ALERTS.read_text(encoding="utf-8").splitlines() if ALERTS.exists() else []
    fired = [a for a in map(json.loads, lines) if a["received"] >= since and a["status"] == "firing"]
    found = [a for a in fired if name in a["alertname"] and severity in a["severity"]]
    return [f"{a['owner']} ({a['alertname']}, {a['runbook']})" for a in found]


def too_early(name: str) -> Alarm | None:
    """Return the alarm if an alert came although nothing was broken yet."""
    return Alarm(told[0]) if (told := alerts(0, name)) else None


def post(body: Any, path: str = "/predict") -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stack.port("proxy"), timeout=10)) as connection:
        # Who refuses a large body may close before all of it was sent; the answer is there still.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", path, data)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
