"""A release is one content-addressed atom: model, code, data version, contract and objectives."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from . import config

FOLDER = Path("releases")
LEDGER, STABLE = FOLDER / "ledger.jsonl", FOLDER / "stable"


def source(release: str) -> Path:
    """Return the folder from which a release runs: its code, model and contract."""
    return FOLDER / release / "bento" / "src"


def stable() -> str | None:
    """Return the id of the release in service, None before the first."""
    return STABLE.read_text(encoding="utf-8").strip() if STABLE.exists() else None


def digests(root: Path, parts: list[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by its path below root."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(parts)
    }


def identify(parts: dict[str, str]) -> str:
    """Return the id that follows from the parts: the same parts, the same id."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def verify(root: Path) -> str:
    """Return the release id of a source folder; refuse one of which a part was changed or lost."""
    manifest = json.loads((root / "release.json").read_text(encoding="utf-8"))
    for name, digest in manifest["files"].items():
        path = root / name
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise config.Problem(
                f"release {manifest['id']}: {name} is not what was packaged; package it again"
            )
    if identify(manifest["files"] | manifest["versions"]) != manifest["id"]:
        raise config.Problem(f"release {manifest['id']}: its manifest was changed")
    return str(manifest["id"])


def record(event: str, **facts: Any) -> None:
    """Append one event to the ledger: what happened to which release, when and why."""
    LEDGER.parent.mkdir(exist_ok=True)
    line = json.dumps({"at": time.time(), "event": event} | facts)
    with LEDGER.open("a", encoding="utf-8") as ledger:
        ledger.write(line + "\n")


def ledger() -> list[dict[str, Any]]:
    """Return every event so far, oldest first."""
    if not LEDGER.exists():
        return []
    return [json.loads(line) for line in LEDGER.read_text(encoding="utf-8").splitlines()]
