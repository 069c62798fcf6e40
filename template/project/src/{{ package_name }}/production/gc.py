"""Delete what no release needs any more, and prove first that all the others keep what they need: `make gc`."""

import shutil

from . import config, releases, remote


def gc(keep: int = 3) -> None:
    """Keep the last releases, the stable one and its way back, with all their data; delete the rest from here."""
    needs = releases.kept(keep)
    for release in needs:
        releases.verify(releases.source(release))
    if lost := remote.lost(needs):
        what = f"a release needs {lost}, which is neither in {remote.CACHE} nor on the remote"
        raise config.Problem(f"gc: {what}; nothing was deleted: `make push` where it is, or keep fewer releases")
    needed = set().union(*(remote.hashes(named) for named in (remote.outs(), *needs.values())))
    old = [path for path in releases.FOLDER.glob("*") if path.is_dir() and path.name not in needs]
    for path in old:
        shutil.rmtree(path)
    unused = [path for path in remote.CACHE.glob("*/*") if f"{path.parent.name}{path.name}" not in needed]
    size = sum(path.stat().st_size for path in unused) / 1e6
    for path in unused:
        path.unlink()
    releases.record("collected", kept=sorted(needs), deleted=[path.name for path in old])
    print(f"gc: kept {len(needs)} releases and all that they need; deleted {len(old)} releases, "
          f"{len(unused)} files of data ({size:.1f} MB)")  # fmt: skip
