"""Look at what was served: drift, missing values, freshness, age, cost, and quality once the labels have come."""

import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from . import config, drift, matrix, metrics, promises, releases, segments
from .stages import features, load_features, read_json, windows, write_json

REPORT, PAGE, METRICS = Path("reports/watch.json"), Path("reports/drift.html"), Path("run/watch.prom")
ALWAYS = ("freshness_hours", "model_age_days", "cost_usd_per_1000", "labels_unknown", "labels_repeated")
Verdict = dict[str, Any]


def watch(report: bool = False) -> Verdict:
    """Write reports/watch.json and run/watch.prom; with `report`, an Evidently page as well."""
    contract, params = config.contract(), config.params()
    if gone := segments.retire(days := promises.follow(promises.inputs())["log_days"]):
        print(f"watch: {gone} files of predictions older than {days:g} days are deleted; see ops/derived/capacity.md")
    rows, said, labels = read_log(contract)
    if rows.is_empty():
        raise config.Problem("watch: no prediction was logged yet; `make up`, and send requests")
    profile = read_json(releases.source(str(releases.stable())) / "model/profile.json")
    # Rows without a time of their own have the time at which they were answered.
    when = rows[contract.time].to_numpy() if contract.time else pl.from_epoch(said["at"], time_unit="s").to_numpy()
    p = np.array(said["prediction"].to_list())
    now = np.datetime64("now") if params.clock == "wall" else when.max()
    found = features(rows, contract) | {"prediction": matrix.outcome(p, contract)}
    newest = rows.tail(params.watch.window_rows)
    missing = {name: newest[name].null_count() / newest.height - c.nulls for name, c in contract.columns.items()}
    verdict: Verdict = {"rows": rows.height, "now": str(now), "freshness_hours": _hours(now - when.max())}
    since = np.datetime64(profile["trained_until"]) if contract.time else now  # else its age is unknown
    verdict["model_age_days"] = _hours(now - since) / 24
    verdict |= judge(profile["columns"], found, when, params.watch) | {"missing_excess": missing}
    verdict |= {
        "cost_usd_per_1000": _cost(said["at"]),
        "utilisation": utilisation(said["at"]),
        "labels_unknown": labels.join(said, on="id", how="anti").height,  # no prediction of that id is in the log
        "labels_repeated": int((labels["came"] - 1).sum()),
        "quality": quality(said, p, labels, when, contract, params.seed),
    }
    write_json(REPORT, verdict)
    METRICS.parent.mkdir(exist_ok=True)
    METRICS.write_text(_metrics(verdict), encoding="utf-8")
    if report:
        _draw(found, windows(when, params.watch.window_days), params)
    alarms = ", ".join(f"{a['column']} since {a['since'][:10]}" for a in verdict["alarms"])
    told = "AUC {auc:.3f} ({auc_low:.3f} to {auc_high:.3f})".format(**verdict["quality"]) if verdict["quality"] else ""
    print(f"watch: {rows.height} rows; drift: {alarms or 'none'}; {told or 'too few labels'}")
    return verdict


def read_log(contract: config.Contract, newest: int = 0) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the rows that the model answered, in the order of their time; what it said (id, release, at, prediction);
    and late labels. With `newest`, of so many files alone.
    """
    sent = {"string": pl.String, "datetime": pl.Datetime("us"), "integer": pl.Int64, "boolean": pl.Boolean}
    kinds: dict[str, Any] = {name: sent.get(column.type, pl.Float64) for name, column in contract.columns.items()}
    kinds |= dict.fromkeys(contract.history, pl.Float64)  # as it was looked up
    kinds |= {contract.time: pl.Datetime("us")} if contract.time else {}
    label = {"binary": pl.Boolean, "multiclass": pl.String, "regression": pl.Float64}[contract.task]
    prediction = pl.List(pl.Float64) if contract.task == "multiclass" else pl.Float64
    schema: dict[str, Any] = {"id": pl.String, "release": pl.String, "at": pl.Float64, "prediction": prediction}
    schema |= {"label": label, "fallback": pl.Boolean, "row": pl.Struct(kinds)}
    entries = segments.read(schema, newest)
    order = pl.col("row").struct.field(contract.time) if contract.time else pl.col("at")
    served = entries.filter(pl.col("prediction").is_not_null(), pl.col("fallback").is_null()).sort(order)
    # A label that comes twice counts once: the newest is right.
    come = entries.drop_nulls("label").sort("at", maintain_order=True).group_by("id", maintain_order=True)
    labels = come.agg(pl.col("label").last(), came=pl.len())
    return served["row"].struct.unnest(), served.drop("row", "label", "fallback"), labels


def judge(profile: drift.Profile, found: dict[str, np.ndarray], when: np.ndarray, watch: config.Watch) -> Verdict:
    """Return each window's distances over their thresholds, and the alarms: confirmed in a row."""
    number, streak = windows(when, watch.window_days), dict.fromkeys(profile, 0)
    judged: list[Verdict] = []
    alarms: dict[str, Verdict] = {}
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


def quality(
    said: pl.DataFrame,
    p: np.ndarray,
    labels: pl.DataFrame,
    when: np.ndarray,
    contract: config.Contract,
    seed: int,
) -> dict[str, float] | None:
    """Return AUC with its interval on the rows whose label has come, and the share that has."""
    told = said.join(labels, on="id", how="left", maintain_order="left")["label"]
    y, known = matrix.targets(told.to_list(), contract), told.is_not_null().to_numpy()
    if known.sum() < 200 or len(np.unique(y[known])) < 2:
        return None
    y, p, days = y[known], p[known], when[known].astype("datetime64[D]")
    ((low, high),), _ = metrics.auc_intervals(y, [p], days, seed)
    score = metrics.auc(metrics.questions(y, p))
    return {"auc": score, "auc_low": low, "auc_high": high, "label_share": float(known.mean())}


def _hours(span: np.timedelta64) -> float:
    return float(span / np.timedelta64(1, "h"))


def _cost(at: pl.Series) -> float:
    """Return what 1000 answered rows cost so far, in USD: the planned machines, by the hours of the log."""
    planned = promises.capacity(promises.inputs())
    usd_per_second = planned["replicas"] * planned["usd_per_hour"] / 3600
    return float(1000 * usd_per_second * (at.max() - at.min()) / len(at))  # type: ignore[operator]


def utilisation(at: pl.Series) -> float | None:
    """Return which share of what the planned replicas carry the busiest hour used; None before a week of log."""
    if at.max() - at.min() < 7 * 86400:  # type: ignore[operator]
        return None
    planned, busiest = promises.capacity(promises.inputs()), (at // 3600).value_counts()["count"].max()
    return float(busiest / 3600 / (planned["replicas"] * planned["replica_rps"]))  # type: ignore[operator]


def _metrics(verdict: Verdict) -> str:
    alarmed, judged = {alarm["column"] for alarm in verdict["alarms"]}, verdict["windows"]
    columns = judged[-1]["over_threshold"] if judged else {}
    found = {f"drift_alarm{_label(name)}": int(name in alarmed) for name in columns}
    found |= {f"missing_excess{_label(name)}": excess for name, excess in verdict["missing_excess"].items()}
    found |= {name: verdict[name] for name in ALWAYS}
    found |= {"utilisation": used} if (used := verdict["utilisation"]) is not None else {}
    found |= (verdict["quality"] or {}) | {"last_run_timestamp_seconds": time.time()}
    return "".join(f"watch_{name} {value}\n" for name, value in found.items())


def _label(column: str) -> str:
    return f"{{column={json.dumps(column, ensure_ascii=False)}}}"


def _draw(found: dict[str, np.ndarray], number: np.ndarray, params: config.Params) -> None:
    """Let Evidently draw the newest window against the training data; the verdict is not its business."""
    from evidently import Report  # takes seconds
    from evidently.presets import DataDriftPreset

    past, _, when = load_features()
    rows = drift.thin(np.flatnonzero(when < np.datetime64(params.split.evaluate_until)), 5 * params.watch.window_rows)
    reference = pl.DataFrame({name: array[rows].tolist() for name, array in past.items()})
    current = pl.DataFrame({name: found[name][number == number.max()].tolist() for name in past})
    some = [name for name in past if _known(reference[name]) and _known(current[name])]  # it stops at an empty column
    with warnings.catch_warnings(action="ignore"):  # it divides by zero where a column has one value
        Report([DataDriftPreset()]).run(current[some].to_pandas(), reference[some].to_pandas()).save_html(str(PAGE))


def _known(values: pl.Series) -> bool:
    return len((values.fill_nan(None) if values.dtype.is_float() else values).drop_nulls()) > 0
