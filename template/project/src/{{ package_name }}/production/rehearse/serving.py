"""Faults of the service: what it is sent, what it leans on, and what becomes of its processes."""

import contextlib
import functools
import secrets
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from .. import capacity, config, matrix, releases, stack, watch
from ..stages import HISTORY
from .lab import Alarm, Trial, alerts, ask, garbage, golden, heard, misfit, wait_for
from .traffic import Traffic

PLANTED = f"planted-{secrets.token_hex(8)}"  # a secret; as a value in a request, a personal datum


def garbage_requests(traffic: Traffic) -> Trial:
    status, said, _ = ask(golden()["rows"][0])
    yield Alarm(said) if status != 200 else None
    bodies = [*garbage(), (b" " * (50 << 20), 413, "")]
    answers = [(ask(body), status, named) for body, status, named in bodies]
    refused = all(answer.status == status and named in answer.text for answer, status, named in answers)
    said = f"{len(bodies)} of {len(bodies)} bodies refused with 4xx, the field named where there is one"
    yield Alarm(said) if refused else None


def poison_item(traffic: Traffic) -> Trial:
    (first, second, third), right, (column, _, much) = golden()["rows"][:3], golden()["answers"], misfit()
    like = functools.partial(matrix.same, tolerance=config.contract().tolerance)
    answer = ask([first, second, third])
    yield None if answer.status == 200 and like(answer.body["predictions"], right[:3]) else Alarm(answer.text)
    answer = ask([first, second | {column: much}, third])
    told = answer.body.get("predictions", [{}] * 3)
    alone = answer.status == 200 and like(told[::2], right[:3:2]) and column in told[1].get("error", "")
    yield Alarm(told[1]["error"]) if alone else None


def killed_worker(traffic: Traffic) -> Trial:
    serving = stack.serving_slot()
    before = set(stack.workers(serving))

    def born() -> set[int]:
        return set(stack.workers(serving)) - before

    yield Alarm("a worker was replaced") if wait_for(born, 3) else None
    start = time.time()
    psutil.Process(min(before)).kill()
    found, seconds = wait_for(born, 20), time.time() - start
    time.sleep(2)
    lost, sent = traffic.failed(start), len(traffic.since(start))
    allowed = sent * (1 - config.slo().objectives.availability_percent.target / 100)
    if found and lost <= allowed:
        answer = f"{lost} of {sent} requests lost; the budget allows {allowed:.1f}"
        yield Alarm(f"worker {min(before)} was replaced by {min(found)}", seconds, answer)


def dependency_down(traffic: Traffic) -> Trial:
    """Take the store of history away until someone is told."""
    yield heard("HistoryMissing")
    start, row, store = time.time(), golden()["rows"][0], HISTORY.resolve()
    HISTORY.unlink()  # a link of the bench
    try:
        alarm, marked = heard("HistoryMissing", start, 30), "degraded" in ask(row).text
    finally:
        HISTORY.symlink_to(store)
    back = wait_for(lambda: "degraded" not in ask(row).text, 10)
    yield alarm if marked and back and not traffic.failed(start) else None


def log_disk_full(traffic: Traffic) -> Trial:
    """Let no worker write to a file any more."""
    yield heard("PredictionLogDropping")
    start = time.time()
    limits = {p: p.rlimit(psutil.RLIMIT_FSIZE) for p in map(psutil.Process, stack.workers(stack.serving_slot()))}
    for process, (_, hard) in limits.items():
        process.rlimit(psutil.RLIMIT_FSIZE, (0, hard))
    alarm = heard("PredictionLogDropping", start, 30)
    for process in filter(psutil.Process.is_running, limits):  # one that had just begun may have died of it
        process.rlimit(psutil.RLIMIT_FSIZE, limits[process])
    over = time.time()
    back = wait_for(lambda: watch.read_log(config.contract())[1]["at"].max() > over, 10, pause=1)  # type: ignore[operator]
    yield alarm if back and not traffic.failed(start) else None


def leaked_secret(traffic: Traffic) -> Trial:
    """Look for a credential, which each process has in its environment, and for a datum that came with requests."""
    found = _holding(PLANTED)
    yield Alarm(f"found in {found[0]}") if found else None
    row, column = golden()["rows"][0], misfit()[0]
    ill = [row | {"e-mail": PLANTED}, row | {column: 9 * PLANTED}, [row, row | {PLANTED: 1}], PLANTED.encode()]
    for body in ill:
        ask(body)
    ask({"request_id": "r0", "label": PLANTED}, "/feedback")
    seeing = _holding(str(releases.stable()))  # else the search is blind
    said = "found nowhere: not in the logs, the prediction log, the metrics, the releases"
    yield Alarm(said) if seeing and not _holding(PLANTED) else None


def _holding(text: str) -> list[Path]:
    """Return the files of the running stack and of the releases that hold a text."""
    files = [path for folder in ("run", "releases", "reports") for path in Path(folder).rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in _bytes(path)]


def _bytes(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):  # Prometheus has just tidied up
        return pl.read_parquet(path).write_ndjson().encode() if path.suffix == ".parquet" else path.read_bytes()
    return b""


def outage(traffic: Traffic) -> Trial:
    early = [alert for alert in alerts(severity="page") if "Quality" not in alert]
    yield Alarm(early[0]) if early else None
    start = time.time()
    for slot in ("blue", "green"):
        stack.stop_slot(slot)
    alarm = heard("", start, 90, severity="page")
    stack.up()
    back = "calm" if wait_for(traffic.calm, 30) else "no"
    yield alarm and alarm._replace(answer=f"`make up` brought it back: {back}")


def spike(traffic: Traffic) -> Trial:
    promise = config.slo().objectives.latency_p99_ms.target
    for factor in (0.3, 3):  # the replay brings one peak already: the control stays within what is planned
        start = time.time()
        capacity.run(factor, "10s")
        end, sent = time.time(), traffic.since(start)
        shed = sum(s.status in (429, 503) for s in sent)
        p99 = 1000 * np.percentile([s.seconds for s in sent if s.status == 200], 99)
        calm = wait_for(traffic.calm, 10)
        after = f"calm {time.time() - end:.1f} s after" if calm else "not calm after 10 s"
        answer = f"served p99 {p99:.0f} ms, {promise:g} promised; {after}"
        said = f"{shed} of the replay's requests shed with 429 or 503"
        missed = Alarm(f"{said}; {answer}", missed=True) if factor > 1 else None
        yield Alarm(said, end - start, answer) if shed and p99 <= promise and calm else missed
