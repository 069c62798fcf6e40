"""Look at what was served: drift, freshness, age, and quality once the labels have come."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from . import config, drift, metrics, releases
from .stages import features, read_json, windows, write_json

LOGS, REPORT, METRICS = "run/*/predictions-*.jsonl", Path("reports/watch.json"), Path("run/watch.prom")


def watch(report: bool = False) -> dict[str, Any]:
    """Write reports/watch.json and run/watch.prom; with `report`, an Evidently page as well."""
    contract, params = config.contract(), config.params()
    rows, labels = read_log()
    if rows.is_empty():
        raise config.Problem("watch: no prediction was logged yet; `make up` and send requests")
    profile = read_json(releases.source(str(releases.stable())) / "model/profile.json")
    when = rows[contract.time].to_numpy()
    now = np.datetime64("now") if params.clock == "wall" else when.max()
    found = features(rows, contract) | {"probability": rows["probability"].to_numpy()}
    verdict = judge(profile["columns"], found, when, params.watch)
    verdict |= {
        "rows": rows.height,
        "now": str(now),
        "freshness_hours": _hours(now - when.max()),
        "model_age_days": _hours(now - np.datetime64(profile["trained_until"])) / 24,
        "quality": quality(rows, labels, contract, params.seed),
    }
    write_json(REPORT, verdict)
    _write_metrics(verdict)
    if report:
        _draw(found, when, params)
    alarms = [f"{a['column']} since {a['since'][:10]}" for a in verdict["alarms"]]
    print(f"watch: {rows.height} rows in {len(verdict['windows'])} windows; "
          f"drift: {', '.join(alarms) or 'none'}; AUC {verdict['quality']}")  # fmt: skip
    return verdict


def read_log() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the logged rows (contract columns, id, release, probability) and the late labels."""
    contract = config.contract()
    rows: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for path in sorted(Path().glob(LOGS)):
        for line in path.read_bytes().splitlines():
            entry = json.loads(line)
            (labels if "label" in entry else rows).append(entry)
    kept = [entry | entry.pop("row") for entry in rows]
    text = [name for name, column in contract.columns.items() if column.type == "string"]
    text += [contract.time, "id", "release"]
    names = [*contract.columns, contract.time, "id", "release", "at", "probability"]
    schema = {name: pl.String if name in text else pl.Float64 for name in names}
    frame = pl.DataFrame(kept, schema=schema).with_columns(pl.col(contract.time).str.to_datetime())
    told = pl.DataFrame(labels, schema={"id": pl.String, "label": pl.Boolean, "at": pl.Float64})
    # A label that comes twice counts once: the newest is right.
    return frame.sort(contract.time), told.sort("at").unique("id", keep="last")


def judge(
    profile: drift.Profile, found: dict[str, np.ndarray], when: np.ndarray, watch: config.Watch
) -> dict[str, Any]:
    """Return every window's distances over thresholds, and the alarms: confirmed in a row."""
    number = windows(when, watch.window_days)
    judged, streak, alarms = [], dict.fromkeys(profile, 0), {}
    for window in np.unique(number):
        rows = np.flatnonzero(number == window)
        if len(rows) < watch.window_rows // 2:
            continue
        rows = drift.thin(rows, watch.window_rows)
        distances = drift.compare(profile, {name: array[rows] for name, array in found.items()})
        ratios = {name: d / profile[name]["threshold"] for name, d in distances.items()}
        start, end = str(when[rows].min()), str(when[rows].max())
        judged.append({"start": start, "end": end, "rows": len(rows), "over_threshold": ratios})
        for name, ratio in ratios.items():
            streak[name] = streak[name] + 1 if ratio > 1 else 0
            if streak[name] == watch.confirm_windows:
                alarms[name] = {"column": name, "since": end, "over_threshold": ratio}
            elif not streak[name]:
                alarms.pop(name, None)
    return {"windows": judged, "alarms": list(alarms.values())}


def quality(
    rows: pl.DataFrame, labels: pl.DataFrame, contract: config.Contract, seed: int
) -> dict[str, float] | None:
    """Return AUC with its interval on the rows whose label has come, and the share that has."""
    joined = rows.join(labels.select("id", "label"), on="id", how="inner")
    y, p = joined["label"].cast(pl.Float64).to_numpy(), joined["probability"].to_numpy()
    if len(y) < 200 or len(np.unique(y)) < 2:
        return None
    days = joined[contract.time].dt.date().to_numpy()
    ((low, high),), _ = metrics.auc_interval(y, [p], days, seed)
    share = joined.height / rows.height
    return {"auc": metrics.auc(y, p), "low": float(low), "high": float(high), "label_share": share}


def _write_metrics(verdict: dict[str, Any]) -> None:
    over = verdict["windows"][-1]["over_threshold"] if verdict["windows"] else {}
    alarmed = {alarm["column"] for alarm in verdict["alarms"]}
    lines = [f'watch_drift_alarm{{column="{name}"}} {int(name in alarmed)}' for name in over]
    lines += [f"watch_freshness_hours {verdict['freshness_hours']}"]
    lines += [f"watch_model_age_days {verdict['model_age_days']}"]
    if found := verdict["quality"]:
        lines += [f"watch_auc {found['auc']}", f"watch_auc_low {found['low']}"]
        lines += [f"watch_auc_high {found['high']}", f"watch_label_share {found['label_share']}"]
    lines += [f"watch_last_run_timestamp_seconds {time.time()}"]
    METRICS.parent.mkdir(exist_ok=True)
    METRICS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _draw(found: dict[str, np.ndarray], when: np.ndarray, params: config.Params) -> None:
    """Let Evidently draw the newest window against the first; the verdict is not its business."""
    from evidently import Report  # seconds to import
    from evidently.presets import DataDriftPreset

    number = windows(when, params.watch.window_days)
    frame = pl.DataFrame({name: array.tolist() for name, array in found.items()}).to_pandas()
    first, newest = frame[number == number.min()], frame[number == number.max()]
    run = Report([DataDriftPreset()]).run(newest, first)
    run.save_html("reports/drift.html")


def _hours(span: np.timedelta64) -> float:
    return float(span / np.timedelta64(3600, "s"))
