"""Judge the candidate on rows that it has not seen: every gate must hold, or nothing is packaged."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from .. import train as yours_train
from . import config, drift, matrix, metrics, releases
from .stages import LEVELS, MODEL, VALID, labelled, load_features, read_json, write_json

REPORT = Path("reports/evaluate.json")
Report = dict[str, Any]


def evaluate() -> None:
    """Write reports/evaluate.json; stop when a gate fails, naming each gate that does."""
    params, contract, slo = config.params(), config.contract(), config.slo()
    found, y, when = load_features()
    start, end = np.datetime64(params.split.train_until), np.datetime64(params.split.evaluate_until)
    past, now = labelled(when < start, y), labelled((when >= start) & (when < end), y)
    rows, y_now, days = pl.read_parquet(VALID).filter(pl.Series(now)), y[now], when[now].astype("datetime64[D]")
    alone = {name: _alone(array[past], y[past], array[now]) for name, array in found.items()}
    scores = {name: metrics.auc(y_now, p) for name, p in alone.items()}
    best = max(scores, key=lambda name: scores[name])
    model = _model({name: array[now] for name, array in found.items()})
    predictions = {"baseline": alone[best], "model": model} | _champion(rows)
    intervals, leads = metrics.auc_intervals(y_now, list(predictions.values()), days, params.seed)
    report: Report = {"baseline_feature": best, "baseline_auc": scores[best], "rows": len(y_now)}
    report |= {"positive_rate": float(y_now.mean()), "business_metric": slo.business.metric}
    print(f"{'':10}{'AUC':>7}{'95 % interval':>18}{'Brier':>8}{'value per 1000':>16}")
    for (name, p), interval, lead in zip(predictions.items(), intervals.tolist(), leads.tolist(), strict=True):
        report[name] = {"auc": metrics.auc(y_now, p), "auc_interval": interval, "auc_lead_interval": lead}
        report[name] |= {"brier": float(np.mean((p - y_now) ** 2)), "value_per_1000": _value(y_now, p, slo.business)}
        report[name]["calibration_error"] = metrics.calibration_error(y_now, p)
        shown = "{:10}{auc:7.3f}{:>18}{brier:8.3f}{value_per_1000:16.1f}"
        print(shown.format(name, "{:.3f} to {:.3f}".format(*interval), **report[name]))
    report["slices"] = _slices(rows.select(contract.slices), y_now, model)
    report["gates"] = _gates(report, params.gates, slo.objectives.quality_auc.target)
    write_json(REPORT, report)
    if failed := [gate for gate in report["gates"] if not gate["holds"]]:
        raise config.Problem("\n".join("evaluate: gate {name}: {what}".format(**gate) for gate in failed))
    print(f"evaluate: all {len(report['gates'])} gates hold -> {REPORT}")


def by_month() -> list[dict[str, Any]]:
    """Return AUC of baseline and model per month of the live period: hindsight, for the report."""
    split, best = config.params().split, read_json(REPORT)["baseline_feature"]
    found, y, when = load_features()
    past, months, rows = labelled(when < np.datetime64(split.train_until), y), when.astype("datetime64[M]"), []
    both = {"baseline": _alone(found[best][past], y[past], found[best]), "model": _model(found)}
    for month in np.unique(months[when >= np.datetime64(split.evaluate_until)]):
        now = (months == month) & ~np.isnan(y)
        if now.sum() >= 200:
            scores = {name: metrics.auc(y[now], p[now]) for name, p in both.items()}
            rows.append({"month": str(month), "rows": int(now.sum())} | scores)
    return rows


def _model(found: matrix.Columns) -> np.ndarray:
    model = yours_train.load(MODEL.read_text(encoding="utf-8"))
    return yours_train.predict(model, matrix.encode(found, read_json(LEVELS)))


def _alone(past: np.ndarray, y: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Predict by the past rate of one feature's level or bin: the baseline, and the leak detector."""
    bins = matrix.levels(past) or drift.deciles(past)
    a, b = drift.assign(past, bins), drift.assign(now, bins)
    # 20 rows at the mean rate: a rare level must not look certain.
    size = len(bins) + 2
    rate = (np.bincount(a, y, size) + 20 * y.mean()) / (np.bincount(a, minlength=size) + 20)
    return np.asarray(rate[b])


def _champion(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    """Let the release in service score the same rows with its own code and model."""
    if (release := releases.stable()) is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        rows.write_parquet(asked := Path(folder, "rows.parquet"))
        command = [sys.executable, "-m", str(__package__), "score", str(asked), f"{folder}/scored.parquet"]
        root = releases.source(release).resolve()
        environment = os.environ | {"PYTHONPATH": str(root)}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise config.Problem(f"evaluate: release {release} cannot score: {done.stderr[-200:]}")
        return {"champion": pl.read_parquet(f"{folder}/scored.parquet")["probability"].to_numpy()}


def _value(y: np.ndarray, p: np.ndarray, business: config.Business) -> float:
    """Return what 1000 predictions are worth when an alarm is raised wherever it pays."""
    alarm = p * business.right > (1 - p) * business.wrong
    return float(1000 * np.mean(alarm * np.where(y == 1, business.right, -business.wrong)))


def _slices(columns: pl.DataFrame, y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Return the AUC of each level that has at least 200 rows."""
    levels = [(column, level) for column in columns for level in column.unique(maintain_order=True).drop_nulls()]
    masks = {f"{column.name}={level}": (column == level).fill_null(value=False).to_numpy() for column, level in levels}
    return {name: metrics.auc(y[mask], p[mask]) for name, mask in masks.items() if mask.sum() >= 200}


def _gates(report: Report, limits: config.Gates, floor: float) -> list[dict[str, Any]]:
    model, best, leak = report["model"], report["baseline_feature"], report["baseline_auc"]
    low, lead, error = model["auc_interval"][0], model["auc_lead_interval"][0], model["calibration_error"]
    value, lowest = model["value_per_1000"], floor - limits.slice_auc_drop
    known = f"{best} alone reaches AUC {leak:.3f}; is it known before the prediction?"
    gates = [
        ("leakage", leak <= limits.leak_auc, known),
        ("floor", low >= floor, f"AUC may be as low as {low:.3f}, slo.yaml promises {floor}"),
        ("baseline", lead > 0, f"its lead over one feature ({best}) may be {lead:.3f}"),
        ("calibration", error <= limits.calibration_error, f"predicted rates are {error:.3f} off"),
        ("value", value > 0, f"1000 predictions are worth {value:.1f} {report['business_metric']}"),
    ]
    for name, auc in report["slices"].items():
        gates.append(("slice", auc >= lowest, f"{name} has AUC {auc:.3f}, at least {lowest:.3f} is asked"))
    if "champion" in report:
        drop = report["champion"]["auc"] - model["auc"]
        what = f"its AUC is {drop:.3f} below the release in service"
        gates.append(("champion", drop <= limits.champion_auc_drop, what))
    return [dict(zip(("name", "holds", "what"), gate, strict=True)) for gate in gates]
