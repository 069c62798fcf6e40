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
from . import live, offline, report  # noqa: F401 (both fill FAULTS)
from .lab import FAULTS, Fault, Lab
from .traffic import Traffic

BENCH = Path(".rehearsal")
ORDER = ["covariate-drift", "garbage-requests", "killed-worker", "slow-release", "failing-release", "rollback-twice"]
ORDER += ["spike", "outage"]
QUIET_WINDOWS = 4


def rehearse(only: str = "") -> int:
    """Break everything once and write reports/rehearsal.*; return 1 if a fault got through."""
    chosen = _choose(only)
    started, reports = time.time(), Path("reports").resolve()
    hindsight = evaluate.by_month()
    with _bench():
        still = [fault for fault in chosen if not fault.live]
        moving = sorted((f for f in chosen if f.live), key=lambda f: ORDER.index(f.id))
        story: dict[str, Any] = {"started": started, "results": [], "control": [], "sent": []}
        if moving:
            _perform(moving, still, story)
        else:
            story["results"] += [_try(fault, Lab()) for fault in still]
        story["ledger"] = releases.ledger()
    story |= {"seconds": time.time() - started, "months": hindsight}
    return report.write(story, reports)


def _choose(only: str) -> list[Fault]:
    if only and only not in FAULTS:
        near = difflib.get_close_matches(only, FAULTS, n=1)
        raise config.Problem(
            f"rehearse: no fault {only}; " + (f"did you mean {near[0]}?" if near else ", ".join(FAULTS))
        )
    return [FAULTS[only]] if only else list(FAULTS.values())


@contextlib.contextmanager
def _bench() -> Iterator[None]:
    """Work in a copy of the repo: its ledger, its releases and its stack are not yours."""
    home, release = Path.cwd(), read_json(Path("reports/package.json"))["release"]
    shutil.rmtree(BENCH, ignore_errors=True)
    (BENCH / "releases").mkdir(parents=True)
    for name in ["contract.yaml", "slo.yaml", "params.yaml", "bentofile.yaml"]:
        shutil.copy(name, BENCH)
    shutil.copy("requirements-serve.txt", BENCH)
    for name in ["src", "ops", ".github", "reports"]:
        shutil.copytree(name, BENCH / name)
    for name in ["data", "model"]:
        (BENCH / name).symlink_to(Path(name).resolve())
    shutil.copytree(f"releases/{release}", BENCH / "releases" / release)
    os.chdir(BENCH)
    try:
        releases.record("packaged", release=release)
        yield
    finally:
        os.chdir(home)


def _perform(moving: list[Fault], still: list[Fault], story: dict[str, Any]) -> None:
    stack.up()
    try:
        ports, peak = config.params().ports, config.slo().peak_rps
        with Traffic(ports.proxy, peak) as traffic:
            lab = Lab(traffic)
            lab.kept["quiet"] = story["control"] = _control(lab, moving)
            # The pipeline's faults need no traffic: they run beside it.
            results = story["results"]
            beside = threading.Thread(target=lambda: results.extend(_try(f, lab) for f in still))
            beside.start()
            results += [_try(fault, lab) for fault in moving]
            beside.join()
            story |= {"sent": traffic.sent, "drift": read_json(watch.REPORT)}
    finally:
        stack.down()


def _control(lab: Lab, moving: list[Fault]) -> list[str]:
    """Serve the first quiet weeks without a fault; return every noise: there must be none."""
    full = len(moving) > 1 or moving[0].id == "covariate-drift"
    days = config.params().watch.window_days * QUIET_WINDOWS if full else 0
    end = config.params().split.evaluate_until.timestamp() + days * 86400
    lab.say("control: live traffic, no fault")
    start = time.time()
    while time.time() - start < 5 or lab.traffic.event_seconds() < end:
        time.sleep(0.5)
    sent, noise = lab.traffic.since(start), []
    if failed := [s for s in sent if s.status != 200]:
        noise.append(f"{len(failed)} of {len(sent)} requests were not answered with 200")
    noise += [f"alert {alert['name']}" for alert in live.alerts(0)]
    noise += [f"drift in {alarm['column']}" for alarm in watch.watch()["alarms"]]
    noise += ["a rollback" for event in releases.ledger() if event["event"] == "rolled back"]
    lab.say(f"control: {len(sent)} requests, {', '.join(noise) or 'all quiet'}")
    return noise


def _try(fault: Fault, lab: Lab) -> dict[str, Any]:
    """Run the control, then the fault; a fault counts as caught only if its control was quiet."""
    facts: dict[str, Any] = {"id": fault.id, "dies": fault.dies, "by": fault.by, "live": fault.live}
    try:
        control = fault.run(lab, False)
        start = time.time()
        alarm = fault.run(lab, True)
    except Exception as error:
        lab.say(f"{fault.id}: could not be run: {error}")
        return facts | {"verdict": "not run", "said": str(error)[:300]}
    facts |= {"start": start, "end": time.time(), "control": control.said if control else "quiet"}
    if alarm:
        facts |= {"said": alarm.said, "seconds": alarm.seconds, "answer": alarm.answer}
    verdict = "got through" if not alarm else "cries wolf" if control else "caught"
    lab.say(f"{fault.id}: {verdict}" + (f" by {fault.by}: {alarm.said}" if alarm else ""))
    return facts | {"verdict": verdict}

