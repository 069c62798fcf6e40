"""Look at what was served: drift, freshness, age, and quality once the labels have come."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from . import config, drift, metrics, releases
from .stages import features, read_json, windows, write_json

REPORT, METRICS = Path("reports/watch.json"), Path("run/watch.prom")


def watch(report: bool = False) -> dict[str, Any]:
    """Write reports/watch.json and run/watch.prom; with `report`, an Evidently page as well."""
    contract, params = config.contract(), config.params()
    rows, labels = read_log()
    if rows.is_empty():
        raise config.Problem("watch: no prediction was logged yet; `make up`, and send requests")
    profile = read_json(releases.source(str(releases.stable())) / "model/profile.json")
    when = rows[contract.time].to_numpy()
    now = np.datetime64("now") if params.clock == "wall" else when.max()
    found = features(rows, contract) | {"probability": rows["probability"].to_numpy()}
    verdict = judge(profile["columns"], found, when, params.watch) | {
        "rows": rows.height,
        "now": str(now),
        "freshness_hours": _hours(now - when.max()),
        "model_age_days": _hours(now - np.datetime64(profile["trained_until"])) / 24,
        "quality": quality(rows, labels, contract, params.seed),
    }
    write_json(REPORT, verdict)
    METRICS.parent.mkdir(exist_ok=True)
    METRICS.write_text("\n".join(_metrics(verdict)) + "\n", encoding="utf-8")
    if report:
        _draw(found, windows(when, params.watch.window_days))
    alarms = [f"{a['column']} since {a['since'][:10]}" for a in verdict["alarms"]]
    told = (
        "AUC {auc:.3f} ({low:.3f} to {high:.3f})".format(**verdict["quality"])
        if verdict["quality"]
        else "too few labels"
    )
    print(f"watch: {rows.height} rows; drift: {', '.join(alarms) or 'none'}; {told}")
    return verdict


def read_log() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the logged rows (contract columns, id, release, at, probability) and the late labels."""
    contract, rows, labels = config.contract(), [], []
    for path in sorted(Path().glob("run/*/predictions-*.jsonl")):
        for line in path.read_bytes().splitlines():
            entry = json.loads(line)
            if "label" in entry:
                labels.append(entry)
            else:
                rows.append(entry | entry.pop("row"))
    text = {name for name, column in contract.columns.items() if column.type == "string"}
    names = [*contract.columns, contract.time, "id", "release", "at", "probability"]
    text |= {contract.time, "id", "release"}
    schema = {name: pl.String if name in text else pl.Float64 for name in names}
    frame = pl.DataFrame(rows, schema=schema).with_columns(pl.col(contract.time).str.to_datetime())
    told = pl.DataFrame(labels, schema={"id": pl.String, "label": pl.Boolean, "at": pl.Float64})
    # A label that comes twice counts once: the newest is right.
    return frame.sort(contract.time), told.sort("at").unique("id", keep="last")


def judge(
    profile: drift.Profile, found: dict[str, np.ndarray], when: np.ndarray, watch: config.Watch
) -> dict[str, Any]:
    """Return each window's distances over their thresholds, and the alarms: confirmed in a row."""
    number, streak = windows(when, watch.window_days), dict.fromkeys(profile, 0)
    judged: list[dict[str, Any]] = []
    alarms: dict[str, dict[str, Any]] = {}
    for window in np.unique(number):
        rows = drift.thin(np.flatnonzero(number == window), watch.window_rows)
        if len(rows) < watch.window_rows // 2:
            continue
        ratios = drift.compare(profile, {name: array[rows] for name, array in found.items()})
        end = str(when[rows].max())
        judged.append({"end": end, "rows": len(rows), "over_threshold": ratios})
        for name, ratio in ratios.items():
            streak[name] = streak[name] + 1 if ratio > 1 else 0
            if streak[name] == watch.confirm_windows:
                alarms[name] = {"column": name, "since": end, "over_threshold": ratio}
            elif not streak[name]:
                alarms.pop(name, None)
    return {"windows": judged, "alarms": list(alarms.values())}


def quality(rows: pl.DataFrame, labels: pl.DataFrame, contract: config.Contract, seed: int) -> dict[str, float] | None:
    """Return AUC with its interval on the rows whose label has come, and the share that has."""
    joined = rows.join(labels.select("id", "label"), on="id", how="inner")
    y, p = joined["label"].cast(pl.Float64).to_numpy(), joined["probability"].to_numpy()
    if len(y) < 200 or len(np.unique(y)) < 2:
        return None
    ((low, high),), _ = metrics.auc_interval(y, [p], joined[contract.time].dt.date().to_numpy(), seed)
    share = joined.height / rows.height
    return {"auc": metrics.auc(y, p), "low": float(low), "high": float(high), "label_share": share}


def _metrics(verdict: dict[str, Any]) -> list[str]:
    alarmed, judged = {alarm["column"] for alarm in verdict["alarms"]}, verdict["windows"]
    columns = judged[-1]["over_threshold"] if judged else {}
    lines = [f'watch_drift_alarm{{column="{name}"}} {int(name in alarmed)}' for name in columns]
    lines += [f"watch_{name} {verdict[name]}" for name in ("freshness_hours", "model_age_days")]
    names = {"auc": "auc", "low": "auc_low", "high": "auc_high", "label_share": "label_share"}
    lines += [f"watch_{names[name]} {value}" for name, value in (verdict["quality"] or {}).items()]
    return [*lines, f"watch_last_run_timestamp_seconds {time.time()}"]


def _draw(found: dict[str, np.ndarray], number: np.ndarray) -> None:
    """Let Evidently draw the newest window against the first; the verdict is not its business."""
    from evidently import Report  # takes seconds
    from evidently.presets import DataDriftPreset

    frame = pl.DataFrame({name: array.tolist() for name, array in found.items()}).to_pandas()
    run = Report([DataDriftPreset()]).run(frame[number == number.max()], frame[number == number.min()])
    run.save_html("reports/drift.html")


def _hours(span: np.timedelta64) -> float:
    return float(span / np.timedelta64(3600, "s"))
