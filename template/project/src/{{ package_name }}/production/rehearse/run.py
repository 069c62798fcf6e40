"""Run the rehearsal: control first, then every fault with its own control, then the report."""

import contextlib
import difflib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import config, evaluate, releases, stack, watch
from ..stages import read_json
from . import live, offline, report  # noqa: F401  both fill FAULTS
from .lab import FAULTS, Fault, Lab, copy_repo
from .traffic import Traffic

BENCH, QUIET_WINDOWS = Path(".rehearsal"), 4
ORDER = ["covariate-drift", "garbage-requests", "killed-worker", "rollback-twice", "slow-release"]
ORDER += ["failing-release", "spike", "outage"]


def rehearse(only: str = "") -> int:
    """Break everything once and write reports/rehearsal.*; return 1 if a fault got through."""
    if only and only not in FAULTS:
        near = difflib.get_close_matches(only, FAULTS, n=1)
        known = f"did you mean {near[0]}?" if near else f"there are {', '.join(FAULTS)}"
        raise config.Problem(f"rehearse: no fault {only}; {known}")
    chosen = [FAULTS[only]] if only else list(FAULTS.values())
    moving = sorted((fault for fault in chosen if fault.live), key=lambda fault: ORDER.index(fault.id))
    still = [fault for fault in chosen if not fault.live]
    story: dict[str, Any] = {"started": time.time(), "results": [], "control": [], "sent": []}
    story["months"], reports = evaluate.by_month(), Path("reports").resolve()
    with _bench():
        if moving:
            _perform(moving, still, story)
        else:
            story["results"] += [_try(fault, Lab()) for fault in still]
        story |= {"ledger": releases.ledger(), "seconds": time.time() - story["started"]}
    return report.write(story, reports)


@contextlib.contextmanager
def _bench() -> Iterator[None]:
    """Work in a copy of the repo: its ledger, its releases and its stack are not yours."""
    home, release = Path.cwd(), read_json(Path("reports/package.json"))["release"]
    shutil.rmtree(BENCH, ignore_errors=True)
    shutil.copytree(f"releases/{release}", BENCH / "releases" / release)
    shutil.copytree("reports", BENCH / "reports")
    copy_repo(BENCH)
    for name in ("data", "model"):
        (BENCH / name).symlink_to(Path(name).resolve())
    os.chdir(BENCH)
    try:
        releases.record("packaged", release=release)
        yield
    finally:
        os.chdir(home)


def _perform(moving: list[Fault], still: list[Fault], story: dict[str, Any]) -> None:
    results = story["results"]
    stack.up()
    try:
        with Traffic(config.params().ports.proxy, config.slo().peak_rps) as traffic:
            lab = Lab()
            lab.traffic = traffic
            lab.kept["quiet"] = story["control"] = _control(lab, moving)
            # The pipeline's faults need no traffic: they run beside it.
            beside = threading.Thread(target=lambda: results.extend(_try(fault, lab) for fault in still))
            beside.start()
            results += [_try(fault, lab) for fault in moving]
            beside.join()
            story |= {"sent": traffic.sent, "drift": watch.watch()}
    finally:
        stack.down()


def _control(lab: Lab, moving: list[Fault]) -> list[str]:
    """Serve the first quiet weeks without a fault; return every noise: there must be none."""
    start, needed = time.time(), QUIET_WINDOWS if moving[0].id == ORDER[0] else 0
    end = config.params().split.evaluate_until.timestamp() + needed * config.params().watch.window_days * 86400
    lab.say("control: live traffic, no fault")
    while time.time() - start < 5 or lab.traffic.event_seconds() < end:
        time.sleep(0.5)
    sent, noise = lab.traffic.since(start), [f"alert {alert['alertname']}" for alert in live.alerts(0)]
    if failed := [s for s in sent if s.status != 200]:
        noise.append(f"{len(failed)} of {len(sent)} requests were not answered with 200")
    noise += [f"drift in {alarm['column']}" for alarm in watch.watch()["alarms"]]
    noise += ["a rollback" for event in releases.ledger() if event["event"] == "rolled back"]
    lab.say(f"control: {len(sent)} requests, {', '.join(noise) or 'all quiet'}")
    return noise


def _try(fault: Fault, lab: Lab) -> dict[str, Any]:
    """Run the control, then the fault; a fault counts as caught only if its control was quiet."""
    facts: dict[str, Any] = {"id": fault.id, "dies": fault.dies, "by": fault.by, "live": fault.live}
    try:
        control = fault.run(lab, False)
        facts["start"] = time.time()
        alarm = fault.run(lab, True)
    except Exception as error:  # whatever it was, the fault was not run, and that is what we say
        lab.say(f"{fault.id}: could not be run: {error}")
        return facts | {"verdict": "not run", "said": f"{type(error).__name__}: {error}"[:300]}
    facts |= {"end": time.time(), "control": control.said if control else "quiet"} | (vars(alarm) if alarm else {})
    facts["verdict"] = "got through" if not alarm else "cries wolf" if control else "caught"
    lab.say(f"{fault.id}: {facts['verdict']}" + (f" by {fault.by}: {alarm.said}" if alarm else ""))
    return facts
