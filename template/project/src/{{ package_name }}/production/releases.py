"""A release is one content-addressed atom: model, code, data version, contract and promises."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import config

FOLDER, PACKAGED = Path("releases"), Path("reports/package.json")
LEDGER = FOLDER / "ledger.jsonl"
Event = dict[str, Any]


def source(release: str) -> Path:
    """Return the folder from which a release runs: its code, model and contract."""
    return FOLDER / release / "bento" / "src"


def stable() -> str | None:
    """Return the id of the release that serves, or is to serve, all traffic, None before the first."""
    found = last("deployed", "promoted", "rolling back", "rolled back")
    return str(found["release"]) if found else None


def ask(release: str, *words: str) -> str:
    """Run Python in a release, with its own code and model and our store of history; return what it prints."""
    root = source(release).resolve()
    extra = {"PYTHONPATH": str(root), "HISTORY": str(Path("data/history.sqlite").resolve())}
    done = subprocess.run([sys.executable, *words], cwd=root, env=os.environ | extra, capture_output=True, text=True)
    if done.returncode:
        raise config.Problem(f"release {release} cannot answer: {done.stderr.strip()[-300:]}")
    return done.stdout


def newest() -> str:
    """Return the id of the release that was packaged last."""
    if not PACKAGED.exists():
        raise config.Problem("release: there is none yet; `make package` makes one")
    return str(json.loads(PACKAGED.read_text(encoding="utf-8"))["release"])


def kept(keep: int) -> dict[str, dict[str, str]]:
    """Return the last releases, the stable one and its way back: of each, the hashes of the data that it needs."""
    packaged = [str(event["release"]) for event in ledger() if event["event"] == "packaged"]
    back = [str(event["over"]) for event in ledger() if event["event"] == "promoted"][-1:]
    wanted = {*packaged[-keep:], *back, stable() or ""} & {path.name for path in FOLDER.glob("*")}
    return {release: manifest(source(release)).get("outs", {}) for release in sorted(wanted)}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def identify(parts: dict[str, str]) -> str:
    """Return the id that follows from the parts' digests: the same parts, the same id."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def manifest(root: Path) -> dict[str, Any]:
    """Return what a release says of itself: id, files, versions, outs."""
    if not (root / "release.json").exists():
        raise config.Problem(f"release: there is no {root}; bring it back, or name another")
    return dict(json.loads((root / "release.json").read_text(encoding="utf-8")))


def verify(root: Path) -> str:
    """Return the release id of a source folder; refuse one of which a part was changed or lost."""
    about = manifest(root)
    for name, expected in about["files"].items():
        if not (root / name).exists() or digest(root / name) != expected:
            way_out = "bring it back, or package it again"
            raise config.Problem(f"release {about['id']}: {name} is not what was packaged, or gone; {way_out}")
    if identify(about["files"] | about["versions"]) != about["id"]:
        raise config.Problem(f"release {about['id']}: its manifest was changed; package it again")
    return str(about["id"])


def record(event: str, **facts: Any) -> Event:
    """Append one event to the ledger: what happened to which release, when and why; return it."""
    LEDGER.parent.mkdir(exist_ok=True)
    entry = {"at": time.time(), "event": event} | facts
    with LEDGER.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    return entry


def ledger() -> list[Event]:
    """Return every event so far, oldest first."""
    lines = LEDGER.read_text(encoding="utf-8").splitlines() if LEDGER.exists() else []
    return [json.loads(line) for line in lines]


def last(*names: str) -> Event | None:
    """Return the newest event that has one of these names."""
    return next((event for event in reversed(ledger()) if event["event"] in names), None)
