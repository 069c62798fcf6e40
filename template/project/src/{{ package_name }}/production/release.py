"""Let a release in step by step, and take it back; whoever is killed on the way leaves no riddle.

Traffic moves by weights in the proxy, and the release before stays warm in the other slot: the way back is one
command to a socket. What is to happen is in the ledger before traffic moves: what was left half done follows from it.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

import jinja2

from . import budget, canary, config, releases, stack
from .canary import STOP
from .stages import HISTORY
from .store import Store

LOCK, INCIDENT, DRAFT = Path("run/release.lock"), Path("docs/incident.md"), Path(__file__).with_name("incident.md")


def up() -> None:
    """Start what does not run yet, and take back what a killed command left half done."""
    with _locked():
        stack.up()
        settle()


def promote(release: str | None = None) -> None:
    """Let a release in by the steps of ops/derived/canary.json; the newest if none is named."""
    _reach(release := release or releases.newest())
    with _locked():
        if (old := releases.stable()) is None:
            raise config.Problem("promote: nothing serves yet; `make up` starts the first release")
        settle()
        if STOP.exists():
            raise config.Problem("promote: a rollback was asked for and has not ended; `make rollback` first")
        if release == old:
            print(f"promote: {release} serves already")
            return
        left, care = budget.check()
        start, stable = time.time(), stack.serving_slot()
        candidate = stack.other(stable)
        releases.record("promoting", release=release, over=old, warm=stack.release_in(candidate), left=left)
        try:
            stack.start_slot(candidate, release)
            if reason := canary.let_in(stable, candidate, care):
                raise config.Problem(reason)
        except BaseException as problem:  # Ctrl-C among them: whatever it is, traffic goes back
            settle(reason := str(problem) or repr(problem))
            if isinstance(problem, KeyboardInterrupt):
                raise
            raise config.Problem(f"promote: {release} was rolled back: {reason}") from problem
        releases.record("promoted", release=release, over=old, left=left, seconds=time.time() - start)
        print(f"promote: {release} serves all traffic; {old} stays warm for a rollback")


def rollback() -> None:
    """Undo the promotion under way, or the last one; a second call finds nothing to undo."""
    start = time.time()
    STOP.parent.mkdir(exist_ok=True)
    STOP.touch()
    with _locked(seconds=config.slo().objectives.rollback_seconds.target):
        settle()
        if not STOP.exists():
            print(f"rollback: what was under way has been taken back; {releases.stable()} serves")
            return
        STOP.unlink()
        last, past = releases.last("promoted"), releases.ledger()
        if not last or any(event.get("bad") == last["release"] for event in past[past.index(last) :]):
            print(f"rollback: nothing to undo; {releases.stable()} serves")
            return
        bad, release, target = last["release"], last["over"], stack.other(stack.serving_slot())
        _reach(release)
        stack.start_slot(target, release)
        stack.wait_ready(target)
        facts = {"release": release, "bad": bad, "warm": bad, "left": last.get("left"), "reason": "by hand"}
        releases.record("rolling back", **facts, since=start)
        settle()


def settle(reason: str = "the promotion broke off") -> None:
    """Take back what stands half done in the ledger, whoever began it. The lock must be held."""
    last = releases.last("promoting", "promoted", "rolling back", "rolled back")
    if last and last["event"] == "promoting":
        facts = {"release": last["over"], "bad": last["release"], "warm": last["warm"], "left": last["left"]}
        last = releases.record("rolling back", **facts, reason=reason, since=time.time())
    if not last or last["event"] != "rolling back":
        return
    # From here on the release to go back to is the stable one: whoever comes next brings this to its end.
    slot, release, impact = stack.serving_slot(), last["release"], {}
    stack.set_weights({slot: 100, (spare := stack.other(slot)): 0})
    seconds, golden = time.time() - last["since"], canary.golden(slot) or "right"
    with contextlib.suppress(OSError):  # it does not answer any more
        impact = canary.measure(spare)
    # What the slot held before: the stable release's own way back.
    stack.start_slot(spare, last["warm"]) if last["warm"] else stack.stop_slot(spare)
    STOP.unlink(missing_ok=True)
    facts = {"release": release, "bad": last["bad"], "reason": last["reason"], "golden": golden, "impact": impact}
    releases.record("rolled back", **facts, seconds=seconds, left_before=last["left"], left=budget.left())
    _draft()
    print(f"rollback: {release} serves again after {seconds:.1f} s; golden rows: {golden}; see {INCIDENT}")


def _draft() -> None:
    """Put the newest rollback on top of docs/incident.md, as the ledger tells it; what stands there already stays."""
    back, old = releases.last("rolled back") or {}, INCIDENT.read_text(encoding="utf-8") if INCIDENT.exists() else ""
    both = {name: releases.manifest(releases.source(back[name])) for name in ("release", "bad")}
    page = jinja2.Template(DRAFT.read_text(encoding="utf-8"), trim_blocks=True, lstrip_blocks=True)
    text = page.render(both, back=back, ledger=releases.ledger(), owners=config.slo().owners, time=time)
    INCIDENT.parent.mkdir(exist_ok=True)
    INCIDENT.write_text(f"{text}\n\n{old}".strip() + "\n", encoding="utf-8")


def _reach(release: str) -> None:
    """Refuse a release of which a part is lost or changed, by its name, before any traffic moves."""
    root = releases.source(release)
    releases.verify(root)
    if not Store(HISTORY, config.contract(root)).recall([])[1]:
        what = f"{HISTORY} cannot be read, or is another contract's"
        raise config.Problem(f"release {release}: {what}; `make featurize` writes it")


@contextlib.contextmanager
def _locked(seconds: float = 0.0) -> Iterator[None]:
    """Hold the one lock under which traffic moves; wait at most so long for it."""
    LOCK.parent.mkdir(exist_ok=True)
    deadline = time.time() + seconds
    with LOCK.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.time() >= deadline:
                    what = "a promotion or rollback is under way; wait, or `make rollback`"
                    raise config.Problem(f"release: {what}") from None
                time.sleep(0.1)
        yield
