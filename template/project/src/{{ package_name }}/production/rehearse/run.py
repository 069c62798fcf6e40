"""Run the rehearsal: control first, then every fault with its own control, then the report."""

import contextlib
import difflib
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from .. import config, releases, stack, watch
from ..stages import read_json, write_json
from . import lab, new_release, offline, picture, serving, watching
from .lab import LIVE, OFFLINE, DoesNotApply, copy_repo, link_source
from .traffic import Sent, Traffic

BENCH, QUIET_WINDOWS = Path(".rehearsal"), 4  # so many windows of drift must pass without an alarm
MOVED = "Your newest rows have moved by themselves, and watch says so: train on newer ones:"
HEAD = "| fault | verdict | caught by | seconds to detect | what it said | answer | control |"
TABLE = f"{HEAD}\n|---|---|---|---:|---|---|---|\n"
FUNCTIONS = vars(watching) | vars(serving) | vars(new_release)  # among them one for each fault of the running stack


def rehearse(only: str = "") -> int:
    """Break everything once and write reports/rehearsal.*; return 1 if a fault got through."""
    if only and only not in LIVE | OFFLINE:
        near = difflib.get_close_matches(only, LIVE | OFFLINE, n=1, cutoff=0)
        raise config.Problem(f"rehearse: no fault {only}; did you mean {near[0]}?")
    moving, still = ([name for name in faults if only in ("", name)] for faults in (LIVE, OFFLINE))
    reports, sent = Path("reports").resolve(), []
    story: dict[str, Any] = {"started": time.time(), "results": [], "control": [], "moved": {}}
    with _bench():
        if moving:
            sent = _perform(moving, still, story)
        else:
            story["results"] = [_try(name) for name in still]
        story |= {"ledger": releases.ledger(), "seconds": time.time() - story["started"]}
    story["results"].sort(key=lambda result: (result["verdict"] == "caught", result.get("start", 0)))  # trouble first
    story["apply"] = sum(result["verdict"] != "does not apply" for result in story["results"])
    story["caught"] = sum(result["verdict"] == "caught" for result in story["results"])
    if sent:
        kinds, millis = [s.kind for s in sent], [1000 * s.seconds for s in sent if s.status == 200]
        story["requests"] = {kind: kinds.count(kind) for kind in picture.COLOURS}
        story["requests"] |= {f"p{q}_ms": float(np.percentile(millis, q)) for q in (50, 99)}
    write_json(reports / "rehearsal.json", story)
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    pages = jinja2.Environment(loader=loader, autoescape=jinja2.select_autoescape(), lstrip_blocks=True)
    facts = story | {"slo": config.slo(), "dataset": config.contract().dataset, "time": time}
    facts["picture"] = picture.draw(story, sent) if sent else ""
    text = _text(story)
    for kind, page in (("html", pages.get_template("report.html").render(facts)), ("md", text)):
        (reports / f"rehearsal.{kind}").write_text(page, encoding="utf-8")
    print(f"\n{text}\n-> {reports / 'rehearsal.html'}")
    return int(story["caught"] < story["apply"] or bool(story["control"]))


def _text(story: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    control = "; ".join(story["control"]) or "quiet"
    moved = "; ".join(f"{name} ({where})" for name, where in story["moved"].items())
    head = f"# {story['caught']} of {story['apply']} faults caught; control: {control}\n\n"
    head += (f"{MOVED} {moved}\n\n" if moved else "") + TABLE
    for r in story["results"]:
        seconds, said = f"{r['seconds']:.1f}" if "seconds" in r else "", r.get("said", "").replace("|", "\\|")
        cells = [r["id"], r["verdict"], r["by"], seconds, said, r.get("answer", ""), r.get("control", "")]
        head += f"| {' | '.join(cells)} |\n"
    return head


@contextlib.contextmanager
def _bench() -> Iterator[None]:
    """Work in a copy of the repo: its ledger, its releases and its stack are not yours."""
    release = read_json(Path("reports/package.json"))["release"]
    with contextlib.suppress(FileNotFoundError), contextlib.chdir(BENCH):
        stack.down()  # what a rehearsal left that was killed
    shutil.rmtree(BENCH, ignore_errors=True)
    shutil.copytree(f"releases/{release}", BENCH / "releases" / release)
    shutil.copytree("reports", BENCH / "reports")
    copy_repo(BENCH)
    (BENCH / "data").mkdir()
    for path in (Path("model"), *Path("data").iterdir()):
        (BENCH / path).symlink_to(path.resolve())
    link_source(BENCH)
    with contextlib.chdir(BENCH):
        config.set_params(clock="data")  # the replay's own time is now
        for event in ("packaged", "deployed"):
            releases.record(event, release=release)
        shutil.copytree("releases", lab.FROZEN)
        yield


def _perform(moving: list[str], still: list[str], story: dict[str, Any]) -> list[Sent]:
    """Run faults under live traffic and fill the story; return the requests that were sent."""
    results, traffic = story["results"], Traffic()
    os.environ["PLANTED_PASSWORD"] = serving.PLANTED
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the stack goes down first
    stack.up()
    try:
        traffic.start()
        story["control"], story["moved"] = _control(traffic, QUIET_WINDOWS if "covariate-drift" in moving else 0)
        # The pipeline's faults need no traffic: they run beside it.
        beside = threading.Thread(target=lambda: results.extend(_try(name, traffic) for name in still))
        beside.start()
        results += [_try(name, traffic) for name in moving]
        beside.join()
        story["drift"] = watch.watch()
    finally:
        traffic.stop()
        stack.down()
    return traffic.sent


def _control(traffic: Traffic, quiet_windows: int) -> tuple[list[str], dict[str, str]]:
    """Serve the first quiet weeks without a fault; return every noise: there must be none. And what moved by itself."""
    start, clock = time.time(), config.contract().time
    end = traffic.event_time() + timedelta(days=quiet_windows * config.watch().window_days)
    seconds = max(5.0, 0 if clock else traffic.lasts(quiet_windows))
    _say("control: live traffic, no fault", traffic)
    while time.time() - start < seconds or (clock and traffic.event_time() < end):
        time.sleep(0.5)
    sent, noise = traffic.since(start), [f"alert to {alert}" for alert in lab.alerts()]
    if failed := sum(s.status != 200 for s in sent):
        noise.append(f"{failed} of {len(sent)} requests were not answered with 200")
    moved, false = watching.drifts(traffic.event_time())
    noise += [f"drift in {name}" for name in false]
    noise += ["a rollback" for event in releases.ledger() if event["event"] == "rolled back"]
    _say(f"control: {len(sent)} requests, {', '.join(noise) or 'all quiet'}", traffic)
    return noise, moved


def _try(name: str, traffic: Traffic | None = None) -> dict[str, Any]:
    """Run the control, then the fault; a fault counts as caught only if its control was quiet."""
    known = (LIVE | OFFLINE)[name]
    found: dict[str, Any] = {"id": name, "dies": known["dies"], "by": known["by"], "live": name in LIVE}
    try:
        lab.check(name)
        trial = FUNCTIONS[name.replace("-", "_")](traffic) if name in LIVE else offline.run(name)
        control, found["start"] = next(trial), time.time()
        alarm = next(trial, None)
    except DoesNotApply as why:
        return found | {"verdict": "does not apply", "said": str(why)}
    except Exception as error:  # whatever it was, the fault was not run, and that is what we say
        _say(f"{name}: could not be run: {error}", traffic)
        return found | {"verdict": "not run", "said": f"{type(error).__name__}: {error}"[:300]}
    found |= {"end": time.time(), "control": control.said if control else "quiet"}
    found["verdict"] = "got through"
    found |= {"said": alarm.said} if alarm else {}
    if alarm and not alarm.missed:
        found |= {"verdict": "cries wolf" if control else "caught", "answer": alarm.answer or known["answer"]}
        found["seconds"] = found["end"] - found["start"] if alarm.seconds is None else alarm.seconds
    by = f" by {known['by']}" if found["verdict"] == "caught" else ""
    _say(f"{name}: {found['verdict']}{by}" + (f": {alarm.said}" if alarm else ""), traffic)
    return found


def _say(text: str, traffic: Traffic | None) -> None:
    """Show progress, with the time of the data."""
    now = f" [{traffic.event_time():%Y-%m-%d}]" if traffic else ""
    print(f"{time.strftime('%H:%M:%S')}{now} {text}", flush=True)
