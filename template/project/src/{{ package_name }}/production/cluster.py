"""Let a release into the cluster, and take it back: Argo Rollouts moves the pods, the ledger says why.

deploy/kubernetes/kustomization.yaml names the release that is meant. Argo Rollouts never writes there: whatever ends
a promotion, this puts back the release that serves, so that nobody who applies the folder later lets a bad one in.
"""

import subprocess
import sys
import time
from pathlib import Path

from . import config, releases

WHERE, NAME = "deploy/kubernetes", Path(__file__).parents[1].name.replace("_", "-")


def deploy() -> None:
    """Bring the cluster to what is derived, with the stable release; the newest if none was ever deployed."""
    first, release = releases.stable() is None, releases.stable() or releases.newest()
    _settle()
    _apply(release)
    if first:
        releases.record("deployed", release=release)
    print(f"deploy: {release} is meant to serve; `kubectl argo rollouts get rollout service -n {NAME}` shows it")


def promote(release: str = "") -> None:
    """Let a release in by the steps of the Rollout; the newest if none is named."""
    release, start = release or releases.newest(), time.time()
    if (old := releases.stable()) is None:
        raise config.Problem("promote: nothing serves yet; `make deploy` starts the first release")
    releases.verify(releases.source(release))
    _settle()
    if release == old:
        print(f"promote: {release} serves already")
        return
    releases.record("promoting", release=release, over=old)
    try:
        _apply(release)
        reason = "" if _holds() else "Argo Rollouts found it worse than promised, or it did not get ready"
    except BaseException as problem:  # Ctrl-C among them
        reason = str(problem) or repr(problem)
    if reason:
        _settle(reason)
        raise config.Problem(f"promote: {release} was rolled back: {reason}")
    releases.record("promoted", release=release, over=old, seconds=time.time() - start)
    print(f"promote: {release} serves all traffic")


def rollback() -> None:
    """Undo the promotion under way, or the last one; a second call finds nothing to undo."""
    if _settle():
        return
    last, past = releases.last("promoted"), releases.ledger()
    if not last or any(event.get("bad") == last["release"] for event in past[past.index(last) :]):
        print(f"rollback: nothing to undo; {releases.stable()} serves")
        return
    releases.record("rolling back", release=last["over"], bad=last["release"], reason="by hand", since=time.time())
    _settle()


def _settle(reason: str = "the promotion broke off") -> bool:
    """Take back what stands half done in the ledger; return whether there was something."""
    last = releases.last("promoting", "promoted", "rolling back", "rolled back")
    if last and last["event"] == "promoting":
        facts = {"release": last["over"], "bad": last["release"]}
        last = releases.record("rolling back", **facts, reason=reason, since=time.time())
    if not last or last["event"] != "rolling back":
        return False
    _apply(last["release"])
    held, seconds = _holds(), time.time() - last["since"]
    if not held:
        raise config.Problem(f"rollback: {last['release']} does not get ready; kubectl get pods -n {NAME}")
    releases.record("rolled back", release=last["release"], bad=last["bad"], reason=last["reason"], seconds=seconds)
    print(f"rollback: {last['release']} serves again after {seconds:.1f} s; commit {WHERE}")
    return True


def _apply(release: str) -> None:
    config.set_params(f"{WHERE}/kustomization.yaml", newTag=release)
    if _kubectl("apply", "-k", WHERE):
        raise config.Problem(f"{WHERE}: kubectl could not apply it; is the cluster the right one?")


def _holds() -> bool:
    """Wait until the Rollout has come to its end; return whether it is what was applied."""
    return not _kubectl("argo", "rollouts", "status", "service", "--namespace", NAME)


def _kubectl(*words: str) -> int:
    try:
        return subprocess.run(["kubectl", *words], stdout=sys.stderr).returncode
    except FileNotFoundError:
        raise config.Problem("kubectl: is not installed, or not on the PATH; install it") from None


if __name__ == "__main__":
    try:
        {"deploy": deploy, "promote": promote, "rollback": rollback}[sys.argv[1]](*sys.argv[2:])
    except config.Problem as problem:
        sys.exit(str(problem))
