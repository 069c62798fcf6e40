"""Bring data and models to the DVC remote of .dvc/config, and back; and delete what no release needs any more."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from . import config, releases
from .stages import write_json

CACHE, LOCK, KEPT = Path(".dvc/cache/files/md5"), Path("dvc.lock"), Path("kept.dvc")
Needs = dict[str, dict[str, str]]  # by release, the hash of each output that it was made of


def push(keep: int = 3) -> None:
    """Bring what dvc.lock and the last releases name to the remote, and prove that all of it is there."""
    needs = _named(keep)
    with _listed(needs):
        said = _dvc("push").strip().rstrip(".")
        states = _states(needs)
    if gone := [name for name, state in states.items() if state != "deleted"]:
        what = f"{gone[0]} is neither in {CACHE} nor on the remote ({len(gone)} in all)"
        raise config.Problem(f"push: {what}; make it again, or `make push` where it is")
    print(f"push: {said}; the remote has what dvc.lock and {len(needs)} releases need")


def pull(keep: int = 3) -> None:
    """Bring back the files that dvc.lock names; and into the cache, what the releases that are here need."""
    needs = _named(keep)
    with _listed(needs):
        _dvc("fetch")
    for holder, named in ({"dvc.lock": outs()} | needs).items():
        if missing := absent(named):
            raise config.Problem(f"pull: the remote lacks {missing} of {holder}; `make push` where it was made")
    if outs():
        _dvc("checkout")
    print(f"pull: here is what dvc.lock and {len(needs)} releases need")


def gc(keep: int = 3) -> None:
    """Keep the last releases, the stable one and its way back, with all their data; delete the rest from here."""
    needs = releases.kept(keep)
    for release in needs:
        releases.verify(releases.source(release))
    if gone := lost(needs):
        what = f"a release needs {gone}, which is neither in {CACHE} nor on the remote"
        raise config.Problem(f"gc: {what}; nothing was deleted: `make push` where it is, or keep fewer releases")
    needed = set().union(*(hashes(named) for named in (outs(), *needs.values())))
    old = [path for path in releases.FOLDER.glob("*") if path.is_dir() and path.name not in needs]
    for path in old:
        shutil.rmtree(path)
    unused = [path for path in CACHE.glob("*/*") if f"{path.parent.name}{path.name}" not in needed]
    size = sum(path.stat().st_size for path in unused) / 1e6
    for path in unused:
        path.unlink()
    releases.record("collected", kept=sorted(needs), deleted=[path.name for path in old])
    print(f"gc: kept {len(needs)} releases and all that they need; deleted {len(old)} releases, "
          f"{len(unused)} files of data ({size:.1f} MB)")  # fmt: skip


def lost(needs: Needs) -> str:
    """Return the first file that a release needs and that neither the cache nor the remote has, else nothing."""
    if not any(map(absent, needs.values())):
        return ""
    with _listed(needs):
        states = _states(needs)
    gone = (name for name, state in states.items() if state == "missing" and name.startswith("kept/"))
    return next(gone, "").removeprefix("kept/")


def outs() -> dict[str, str]:
    """Return the hash of each output that dvc.lock names; nothing where DVC has not run."""
    stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"] if LOCK.exists() else {}
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def absent(named: dict[str, str]) -> str:
    """Return the first of these outputs that the cache lacks, in whole or in part, else nothing."""
    found = (name for name, md5 in named.items() if not all(cached(each).exists() for each in hashes({name: md5})))
    return next(found, "")


def hashes(named: dict[str, str]) -> set[str]:
    """Return these hashes, and those of the files in each folder among them."""
    found = set(named.values())
    for folder in [md5 for md5 in found if md5.endswith(".dir") and cached(md5).exists()]:
        found |= {entry["md5"] for entry in json.loads(cached(folder).read_text(encoding="utf-8"))}
    return found


def cached(md5: str) -> Path:
    return CACHE / md5[:2] / md5[2:]


def _named(keep: int) -> Needs:
    """Return what the last releases need; refuse where there is nothing to bring at all."""
    needs = releases.kept(keep)
    if not needs and not outs():
        raise config.Problem("dvc.lock: names no data yet; `make evaluate` writes it")
    return needs


def _paths(needs: Needs) -> dict[str, str]:
    return {f"kept/{release}/{name}": md5 for release, named in needs.items() for name, md5 in named.items()}


def _states(needs: Needs) -> dict[str, str]:
    """Say of each file that is not in both places where it is: new (here), deleted (the remote), missing (nowhere)."""
    states = dict(json.loads(_dvc("status", "--cloud", "--json")))
    # DVC has brought the list of each folder here; of one that is nowhere, and of its files, it says nothing.
    folders = {name: md5 for name, md5 in (outs() | _paths(needs)).items() if md5.endswith(".dir")}
    return states | {name: "missing" for name, md5 in folders.items() if not cached(md5).exists()}


@contextlib.contextmanager
def _listed(needs: Needs) -> Iterator[None]:
    """Show DVC what releases need while its commands run: dvc.lock may have gone on to other data."""
    if named := _paths(needs):
        write_json(KEPT, {"outs": [{"path": name, "md5": md5, "hash": "md5"} for name, md5 in named.items()]})
    try:
        yield
    finally:
        KEPT.unlink(missing_ok=True)


def _dvc(*words: str) -> str:
    """Run DVC and return what it prints; where it fails, its own reason in one line."""
    done = subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")] or [done.stderr.strip()]
        reason = said[0].removeprefix("ERROR: ").removeprefix("unexpected error - ")[:300]
        way_out = "is the remote in .dvc/config there, and are its credentials in the environment or .dvc/config.local?"
        if words[0] == "checkout":  # it only looks at this machine
            way_out = "put what you changed aside, or `dvc commit` it"
        raise config.Problem(f"dvc {words[0]}: {reason}; {way_out}")
    return done.stdout
