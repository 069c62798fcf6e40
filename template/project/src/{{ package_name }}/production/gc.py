"""Delete what no release needs any more, and prove first that all the others keep what they need: `make gc`."""

import json
import shutil
from pathlib import Path

import yaml

from . import config, releases
from .stages import read_json

CACHE, LOCK = Path(".dvc/cache/files/md5"), Path("dvc.lock")


def gc(keep: int = 3) -> None:
    """Keep the last releases, the stable one and its way back, with all their data; delete the rest."""
    packaged = [str(event["release"]) for event in releases.ledger() if event["event"] == "packaged"]
    back = [str(event["over"]) for event in releases.ledger() if event["event"] == "promoted"][-1:]
    wanted = {*packaged[-keep:], *back, releases.stable() or ""} & {path.name for path in releases.FOLDER.glob("*")}
    needed = hashes(outs())
    for release in sorted(wanted):
        releases.verify(releases.source(release))
        for name, md5 in read_json(releases.source(release) / "release.json").get("outs", {}).items():
            if missing := [each for each in hashes({name: md5}) if not cached(each).exists()]:
                what = f"release {release} needs {name} ({missing[0]}), which is not in {CACHE}"
                raise config.Problem(f"gc: {what}; nothing was deleted: `dvc fetch`, or keep fewer releases")
            needed |= hashes({name: md5})
    old = [path for path in releases.FOLDER.glob("*") if path.is_dir() and path.name not in wanted]
    for path in old:
        shutil.rmtree(path)
    unused = [path for path in CACHE.glob("*/*") if f"{path.parent.name}{path.name}" not in needed]
    size = sum(path.stat().st_size for path in unused) / 1e6
    for path in unused:
        path.unlink()
    releases.record("collected", kept=sorted(wanted), deleted=[path.name for path in old])
    print(f"gc: kept {len(wanted)} releases and all that they need; deleted {len(old)} releases, "
          f"{len(unused)} files of data ({size:.1f} MB)")  # fmt: skip


def outs() -> dict[str, str]:
    """Return the hash of each output that dvc.lock names; nothing where DVC has not run."""
    stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"] if LOCK.exists() else {}
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def hashes(named: dict[str, str]) -> set[str]:
    """Return these hashes, and those of the files in each folder among them."""
    found = set(named.values())
    for folder in [md5 for md5 in found if md5.endswith(".dir") and cached(md5).exists()]:
        found |= {entry["md5"] for entry in json.loads(cached(folder).read_text(encoding="utf-8"))}
    return found


def cached(md5: str) -> Path:
    return CACHE / md5[:2] / md5[2:]
