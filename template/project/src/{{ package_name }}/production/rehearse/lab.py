"""What a fault needs: what it is, a scratch copy of the repo to break, the real verbs, requests, patience."""

import contextlib
import http.client
import json
import math
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
from .. import config, releases, stack
from ..stages import FEATURES, HISTORY, RAW, VALID, read_json

PACKAGE = Path(__file__).parents[2].name
FAULTS = yaml.safe_load(Path(__file__).with_name("faults.yaml").read_text(encoding="utf-8"))
LIVE, OFFLINE = FAULTS["live"], FAULTS["offline"]  # name: facts
ALERTS = Path("run/alerts.jsonl")
FROZEN = Path("releases.frozen")  # as they were before any fault: those of the pipeline run beside the live ones
Found = TypeVar("Found")


class Broke(config.Problem):
    """A verb that ended in a traceback: no refusal, whatever it stopped."""


class DoesNotApply(Exception):
    """The data or the contract leaves no room for a fault; the message says why."""


class Alarm(NamedTuple):
    """What a detector said, how many seconds after the injection, and how the fault was answered."""

    said: str
    seconds: float | None = None  # else as many as the fault took
    answer: str = ""  # else that of faults.yaml
    missed: bool = False  # it says what was measured where no detector did its work


# A fault, as it is tried: what was said before anything was broken, then the alarm; None if all was quiet.
Trial = Iterator[Alarm | None]


class Answer(NamedTuple):
    """What the service answered, and the release that it names."""

    status: int
    text: str
    release: str | None

    @property
    def body(self) -> Any:
        return json.loads(self.text)


def check(name: str) -> None:
    """Refuse a fault for which the contract leaves no room."""
    for needed, why in (LIVE | OFFLINE)[name].get("needs", {}).items():
        if not getattr(config.contract(), needed):
            raise DoesNotApply(why)


def copy_repo(root: Path) -> None:
    """Copy code and promises, without data, models and releases."""
    for name in ("contract.yaml", "slo.yaml", "params.yaml", "requirements-serve.txt"):
        shutil.copy(name, root)
    encoder = config.contract().encoder
    for name in ("src", "ops", ".github", "docs", *([encoder.name] if encoder else [])):
        if Path(name).is_dir():  # an encoder may be a package
            shutil.copytree(name, root / name)


def link_source(root: Path) -> None:
    """Let a copy of the repo see a source that lies beside the code, not in a package."""
    for source in (Path(config.params().source), Path("data/landed")):
        if source.exists() and not (root / source).exists():
            (root / source).parent.mkdir(parents=True, exist_ok=True)
            (root / source).symlink_to(source.resolve())


@contextlib.contextmanager
def scratch(frozen: bool = False) -> Iterator[Path]:
    """Yield a temporary copy of the repo with its releases, or those before any fault, to break; its data ends where
    the live period begins.
    """
    kept = FROZEN if frozen and FROZEN.exists() else releases.FOLDER
    before = pl.col(config.contract().clock) < config.params().split.evaluate_until
    with tempfile.TemporaryDirectory(prefix="rehearse-") as folder:
        root = Path(folder)
        copy_repo(root)
        shutil.copytree("model", root / "model")
        (root / "releases").symlink_to(kept.resolve())
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
    wrong: Any = 5 if columns[name].type in ("string", "datetime", "text") else "39.5"
    return name, wrong, 1e300 if columns[name].type in ("number", "integer") else wrong


def refusal(root: Path, verb: str, notes: str = "") -> str:
    """Run a verb in a copy of the repo, beside the live stack; return why it refused, else what it said of `notes`."""
    command = ["nice", sys.executable, "-m", f"{PACKAGE}.production", *verb.split()]
    extra = {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, cwd=root, env=os.environ | extra, capture_output=True, text=True)
    if done.returncode > 1 or "Traceback" in done.stderr:
        raise Broke(f"{verb} broke: {done.stderr.strip().splitlines()[-1]}")
    told = [line for line in done.stdout.splitlines() if notes and notes in line]
    return done.stderr.strip() if done.returncode else "\n".join(told)


def wait_for(look: Callable[[], Found], seconds: float, pause: float = 0.2) -> Found:
    """Look until something is found, at most so long; return what was seen last."""
    deadline = time.time() + seconds
    while not (found := look()) and time.time() < deadline:
        time.sleep(pause)
    return found


def alerts(name: str = "", since: float = 0.0, severity: str = "") -> list[str]:
    """Return who was told what since a moment, as the monitor wrote it down when it reached the webhook."""
    lines = ALERTS.read_text(encoding="utf-8").splitlines() if ALERTS.exists() else []
    fired = [a for a in map(json.loads, lines) if a["received"] >= since and a["status"] == "firing"]
    found = [a for a in fired if name in a["alertname"] and severity in a["severity"]]
    return [f"{a['owner']} ({a['alertname']}, {a['runbook']})" for a in found]


def heard(name: str, since: float = 0.0, within: float = 0.0, severity: str = "") -> Alarm | None:
    """Return the alarm if someone is told since a moment; wait so many seconds for that."""
    told = wait_for(lambda: alerts(name, since, severity), within)
    return Alarm(f"{severity or 'alert'} to {told[0]}", time.time() - since) if told else None


def golden() -> dict[str, Any]:
    """Return rows that the stable release must answer, and the right answers."""
    return dict(read_json(releases.source(str(releases.stable())) / "model/golden.json"))


def garbage() -> list[tuple[Any, int, str]]:
    """Return bodies that must be refused: each with the status, and what the refusal must name."""
    row, (column, wrong, much), clock = golden()["rows"][0], misfit(), config.contract().time
    without = {name: value for name, value in row.items() if name != column}
    return [
        (b"{", 400, ""),
        (b"\xff\xfe", 400, ""),
        (b"[" * 5000, 422, ""),
        (b"[[1], {", 422, ""),
        (row | {column: math.nan}, 400, ""),
        ([], 422, "length"),
        (without, 422, column),
        (row | {column: wrong}, 422, column),
        (row | {column: much}, 422, column),
        (row | {column: []}, 422, column),
        (row | {"unheard_of": 1}, 422, "unheard_of"),
        ([without, without], 422, column),
        ([row | {column: much}, row | {column: wrong}], 422, column),
        *([(row | {clock: "0001-01-01T00:00:00+14:00"}, 422, clock)] if clock else []),
    ]


def wrong_labels() -> pl.Expr:
    """Return the opposite of each label, the next class, or the number mirrored at the middle of its range."""
    contract, label = config.contract(), pl.col(config.contract().target)
    return {
        "binary": lambda: ~label,
        "multiclass": lambda: label.replace_strict(contract.classes, [*contract.classes[1:], contract.classes[0]]),
        "regression": lambda: label.quantile(0.05) + label.quantile(0.95) - label,
    }[contract.task]()


def ask(body: Any = None, path: str = "/predict", part: str = "proxy", request_id: str = "") -> Answer:
    """Send a request to a part of the stack: a POST if it has a body."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-Request-Id": request_id} if request_id else {}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stack.port(part), timeout=10)) as connection:
        # Who refuses a large body may close before all of it was sent; the answer is there still.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("GET" if data is None else "POST", path, data, headers)
        answer = connection.getresponse()
        told = Answer(answer.status, answer.read().decode(errors="replace"), answer.headers["X-Release"])
    if told.status != 429:
        return told
    time.sleep(1)  # as it says: beside the live traffic there was no room
    return ask(body, path, part, request_id)
