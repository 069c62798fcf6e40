"""Look at what was served: drift, missing values, freshness, age, cost, and quality once the labels have come."""

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from . import config, drift, matrix, metrics, promises, releases, segments
from .stages import features, load_features, read_json, windows, write_json

REPORT, PAGE, METRICS = Path("reports/watch.json"), Path("reports/drift.html"), Path("run/watch.prom")
NUMBERS = ["freshness_hours", "model_age_days", "cost_usd_per_1000", "utilisation", "volume"]
NUMBERS += ["labels_unknown", "labels_repeated"]  # of the verdict, those that are told as metrics
HOUR = np.timedelta64(1, "h")
MOST = 50_000  # entries of the log are looked at, if its windows need no more: it bounds time and memory
Verdict = dict[str, Any]


def watch(report: bool = False) -> Verdict:
    """Write reports/watch.json and run/watch.prom; with `report`, an Evidently page as well."""
    contract, params = config.contract(), config.params()
    if gone := segments.retire(days := promises.follow(promises.inputs())["log_days"]):
        print(f"watch: {gone} files of predictions older than {days:g} days are deleted; see ops/derived/capacity.md")
    rows, said, labels = read_log(contract, needed(config.watch(), days))
    if rows.is_empty():
        raise config.Problem("watch: no prediction was logged yet; `make up`, and send requests")
    profile = read_json(releases.source(str(releases.stable())) / "model/profile.json")
    when, p = _times(rows, said, contract), np.array(said["prediction"].to_list())
    now = when.max() if params.clock == "data" else np.datetime64("now" if params.clock == "wall" else params.clock)
    told = said.join(labels, on="id", how="left", maintain_order="left")["label"]
    y = matrix.targets(told.to_list(), contract)

    def look(picked: np.ndarray) -> matrix.Columns:
        seen = drift.watched(features(rows[picked], contract), profile.get("axes", {}))
        return seen | {drift.PREDICTION: matrix.outcome(p[picked], contract)}

    newest, newest_p = rows.tail(config.watch().window_rows), p[-config.watch().window_rows :]
    missing = {name: newest[name].null_count() / newest.height - c.nulls for name, c in contract.columns.items()}
    verdict: Verdict = {"rows": rows.height, "now": str(now), "freshness_hours": float((now - when.max()) / HOUR)}
    since = np.datetime64(profile["trained_until"]) if contract.time else now  # else its age is unknown
    verdict["model_age_days"] = float((now - since) / HOUR / 24)
    verdict |= judge(profile["columns"], when, y, p, look) | {"missing_excess": missing} | _machines(said)
    verdict |= {
        "labels_unknown": labels.join(said, on="id", how="anti").height,  # no prediction of that id is in the log
        "labels_repeated": int((labels["came"] - 1).sum()),
        "quality": quality(y, p, when, params.seed),
        "expected": metrics.expected(newest_p, contract.task, config.slo().business),
        "expected_at_release": profile["expected"],
    }
    if report:
        parts = metrics.levels([said["release"], *(rows[name] for name in contract.slices)]).items()
        verdict["quality_of"] = {name: quality(y[part], p[part], when[part], params.seed) for name, part in parts}
    write_json(REPORT, verdict)
    METRICS.parent.mkdir(exist_ok=True)
    METRICS.write_text(_metrics(verdict), encoding="utf-8")
    if report:
        whole = windows(when, config.watch().window_days) or [np.arange(len(when))]
        _draw(look(drift.thin(whole[-1], 5 * config.watch().window_rows)), profile.get("axes", {}), params)
    alarms = ", ".join(f"{a['column']} since {a['since'][:10]}" for a in verdict["alarms"])
    if any(alarm["windows"] >= 2 * config.watch().confirm_windows for alarm in verdict["alarms"]):
        print("watch: drift was confirmed twice in a row; a retraining is proposed: `make retrain`")
    good = "AUC {auc:.3f} ({auc_low:.3f} to {auc_high:.3f})".format(**verdict["quality"]) if verdict["quality"] else ""
    print(f"watch: {rows.height} rows; drift: {alarms or 'none'}; {good or 'too few labels'}")
    return verdict


def needed(watch: config.Watch, days: float) -> int:
    """Return how many entries of so many days of log leave each window the rows that judge it, and as many to spare."""
    return max(MOST, round(2 * watch.window_rows * days / watch.window_days))


def read_log(
    contract: config.Contract, most: int = 1 << 40, newest: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the rows that the model answered, in the order of their time; what it said (id, release, at, prediction);
    and late labels. Of more entries than `most`, an even share; with `newest`, of so many files alone.
    """
    sent = {"number": pl.Float64, "datetime": pl.Datetime("us"), "integer": pl.Int64, "boolean": pl.Boolean}
    kinds: dict[str, Any] = {name: sent.get(column.type, pl.String) for name, column in contract.columns.items()}
    kinds |= dict.fromkeys(contract.history, pl.Float64)  # as it was looked up
    kinds |= {contract.time: pl.Datetime("us")} if contract.time else {}
    label = {"binary": pl.Boolean, "multiclass": pl.String, "regression": pl.Float64}[contract.task]
    prediction = pl.List(pl.Float64) if contract.task == "multiclass" else pl.Float64
    schema: dict[str, Any] = {"id": pl.String, "release": pl.String, "at": pl.Float64, "prediction": prediction}
    schema |= {"label": label, "fallback": pl.Boolean, "row": pl.Struct(kinds)}
    entries = segments.read(schema, most, newest)
    order = pl.col("row").struct.field(contract.time) if contract.time else pl.col("at")
    served = entries.filter(pl.col("prediction").is_not_null(), pl.col("fallback").is_null()).sort(order)
    # A label that comes twice counts once: the newest is right.
    come = entries.drop_nulls("label").sort("at", maintain_order=True).group_by("id", maintain_order=True)
    labels = come.agg(pl.col("label").last(), came=pl.len())
    return served["row"].struct.unnest(), served.drop("row", "label", "fallback"), labels


def judge(
    profile: drift.Profile, when: np.ndarray, y: np.ndarray, p: np.ndarray, look: Callable[[np.ndarray], matrix.Columns]
) -> Verdict:
    """Return each whole window's distances over their thresholds, and the alarms: confirmed in a row, still on.

    `look` returns what is watched of some rows. A window is judged by as many as are needed, however many it has.
    """
    watch, streak = config.watch(), dict.fromkeys(profile, 0)
    judged: list[Verdict] = []
    alarms: dict[str, Verdict] = {}
    for window in windows(when, watch.window_days):
        end, ratios, told = str(when[window].max()), dict[str, float](), window[~np.isnan(y[window])]
        some, told = drift.thin(window, watch.window_rows), drift.thin(told, watch.window_rows)
        found = look(some) if len(some) >= watch.window_rows // 2 else {}
        found |= {drift.ERROR: matrix.error(y[told], p[told])} if len(told) >= watch.window_rows // 2 else {}
        for name, column in profile.items():
            if name not in found:
                continue  # too few rows to say
            now = drift.shares(found[name], column["bins"])
            far = drift.distance(np.array(column["shares"]), now, column["bins"])
            ratios[name] = far / column["threshold"]
            streak[name] = streak[name] + 1 if ratios[name] > 1 else 0
            if streak[name] >= watch.confirm_windows:
                facts = {"since": alarms.get(name, {"since": end})["since"], "windows": streak[name]}
                alarms[name] = _alarm(name, column, now, far) | facts | {"over_threshold": ratios[name]}
            elif not streak[name]:
                alarms.pop(name, None)
        judged.append({"end": end, "rows": len(window), "over_threshold": ratios})
    sizes = [window["rows"] for window in judged]
    volume = sizes[-1] / float(np.median(sizes[:-1])) if sizes[1:] else 1.0
    return {"windows": judged, "alarms": list(alarms.values()), "volume": volume}


def _alarm(name: str, column: dict[str, Any], now: np.ndarray, far: float) -> Verdict:
    """Say what moved, how much, who answers for it and what to do."""
    inputs, owners = name not in (drift.PREDICTION, drift.ERROR), config.slo().owners
    way_out = "is it a mistake at the source? If not: `make retrain`" if inputs else "`make retrain`"
    told = {"column": name, "moved": far, "where": drift.moved(column, now)}
    return told | {"owner": owners["data" if inputs else "model"], "way_out": way_out}


def quality(y: np.ndarray, p: np.ndarray, when: np.ndarray, seed: int) -> dict[str, float] | None:
    """Return AUC with its interval on the rows whose label has come, and the share that has."""
    known = ~np.isnan(y)
    if known.sum() < 200 or len(np.unique(y[known])) < 2:
        return None
    y, p, days = y[known], p[known], when[known].astype("datetime64[D]")
    ((low, high),), _ = metrics.auc_intervals(y, [p], days, seed)
    score = metrics.auc(metrics.questions(y, p))
    return {"auc": score, "auc_low": low, "auc_high": high, "label_share": float(known.mean())}


def _times(rows: pl.DataFrame, said: pl.DataFrame, contract: config.Contract) -> np.ndarray:
    """Return each row's time; where it has none, that of its answer, or in a replay as if windows were just filled."""
    if contract.time:
        return rows[contract.time].to_numpy()
    if config.params().clock == "wall":
        return pl.from_epoch(said["at"], time_unit="s").to_numpy()
    watch, start = config.watch(), np.datetime64(config.params().split.evaluate_until)
    return start + (np.arange(rows.height) / watch.window_rows * watch.window_days * 86400e6).astype("timedelta64[us]")


def _machines(said: pl.DataFrame) -> Verdict:
    """Return what 1000 answered rows cost so far, in USD, by the hours of the log, and which share of what the planned
    replicas carry the busiest hour used: None before a week of log.
    """
    planned, at, times = promises.follow(promises.inputs()), said["at"].to_numpy(), said["stands_for"][0]
    usd = planned["replicas"] * planned["usd_per_hour"] * np.ptp(at) / 3600
    busiest = times * np.unique(at // 3600, return_counts=True)[1].max() / 3600
    used = float(busiest / (planned["replicas"] * planned["replica_rps"])) if np.ptp(at) >= 7 * 86400 else None
    return {"cost_usd_per_1000": float(1000 * usd / (times * len(at))), "utilisation": used}


def _metrics(verdict: Verdict) -> str:
    alarmed = {alarm["column"] for alarm in verdict["alarms"]}
    columns = dict.fromkeys(name for window in verdict["windows"] for name in window["over_threshold"])
    found = {f"drift_alarm{_label(name)}": int(name in alarmed) for name in columns}
    found |= {f"missing_excess{_label(name)}": excess for name, excess in verdict["missing_excess"].items()}
    found |= {name: verdict[name] for name in NUMBERS if verdict[name] is not None}
    found |= (verdict["quality"] or {}) | {"last_run_timestamp_seconds": time.time()}
    return "".join(f"watch_{name} {value}\n" for name, value in found.items())


def _label(column: str) -> str:
    return f"{{column={json.dumps(column, ensure_ascii=False)}}}"


def _draw(found: dict[str, np.ndarray], axes: drift.Axes, params: config.Params) -> None:
    """Let Evidently draw the newest whole window against the training data; the verdict is not its business."""
    from evidently import Report  # takes seconds
    from evidently.presets import DataDriftPreset

    past, _, when = load_features()
    rows = drift.thin(np.flatnonzero(when < np.datetime64(params.split.evaluate_until)), 5 * config.watch().window_rows)
    past = drift.watched({name: array[rows] for name, array in past.items()}, axes)
    reference = pl.DataFrame({name: array.tolist() for name, array in past.items()}).fill_nan(None)
    current = pl.DataFrame({name: found[name].tolist() for name in past}).fill_nan(None)
    some = [name for name in past if reference[name].count() and current[name].count()]  # it stops at an empty column
    with warnings.catch_warnings(action="ignore"):  # it divides by zero where a column has one value
        Report([DataDriftPreset()]).run(current[some].to_pandas(), reference[some].to_pandas()).save_html(str(PAGE))
