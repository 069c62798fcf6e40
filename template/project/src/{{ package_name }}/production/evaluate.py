"""Judge the candidate on rows that it has not seen: every gate must hold, or nothing is packaged."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from .. import train as yours_train
from . import config, matrix, metrics, releases
from .stages import FEATURES, LEVELS, MODEL, VALID, load_features, read_json, write_json

REPORT = Path("reports/evaluate.json")


class Gate(NamedTuple):
    name: str
    holds: bool
    what: str


def evaluate() -> None:
    """Write reports/evaluate.json; stop when a gate fails, naming each gate that does."""
    params, contract, slo = config.params(), config.contract(), config.slo()
    found, y, when = load_features(contract)
    start, end = np.datetime64(params.split.train_until), np.datetime64(params.split.evaluate_until)
    past, now = (when < start) & ~np.isnan(y), (when >= start) & (when < end) & ~np.isnan(y)
    if now.sum() < 100 or len(np.unique(y[now])) < 2:
        what = f"{now.sum()} labelled rows between train_until and evaluate_until, or one class, are too few"
        raise config.Problem(f"evaluate: {what}; move them in params.yaml")
    alone = {name: _alone(array[past], y[past], array[now]) for name, array in found.items()}
    scores = {name: metrics.auc(y[now], p) for name, p in alone.items()}
    best = max(scores, key=lambda name: scores[name])
    model = _model({name: array[now] for name, array in found.items()})
    predictions = {"baseline": alone[best], "model": model} | _champion(now)
    report = _report(predictions, y[now], when[now].astype("datetime64[D]"), params.seed, slo.business)
    report |= {"baseline_feature": best, "rows": int(now.sum()), "slices": _slices(model, y, now)}
    gates = _gates(report, scores, params.gates, slo.objectives.quality_auc.target)
    write_json(REPORT, report | {"gates": [gate._asdict() for gate in gates]})
    print(f"{'':10}{'AUC':>7}{'95 % interval':>18}{'Brier':>8}{'value per 1000':>16}")
    for name in predictions:
        row, interval = report[name], "{:.3f} to {:.3f}".format(*report[name]["auc_interval"])
        print(f"{name:10}{row['auc']:7.3f}{interval:>18}{row['brier']:8.3f}{row['value_per_1000']:16.1f}")
    if failed := [gate for gate in gates if not gate.holds]:
        raise config.Problem("\n".join(f"evaluate: gate {gate.name}: {gate.what}" for gate in failed))
    print(f"evaluate: all {len(gates)} gates hold -> {REPORT}")


def by_month() -> list[dict[str, Any]]:
    """Return AUC of baseline and model per month of the live period: hindsight, for the report."""
    params = config.params()
    found, y, when = load_features(config.contract())
    past, best = (when < np.datetime64(params.split.train_until)) & ~np.isnan(y), read_json(REPORT)["baseline_feature"]
    baseline, model = _alone(found[best][past], y[past], found[best]), _model(found)
    months, rows = when.astype("datetime64[M]"), []
    for month in np.unique(months[when >= np.datetime64(params.split.evaluate_until)]):
        now = (months == month) & ~np.isnan(y)
        if now.sum() >= 200:
            scores = {"baseline": metrics.auc(y[now], baseline[now]), "model": metrics.auc(y[now], model[now])}
            rows.append({"month": str(month), "rows": int(now.sum())} | scores)
    return rows


def _model(found: matrix.Columns) -> np.ndarray:
    model = yours_train.load(MODEL.read_text(encoding="utf-8"))
    return yours_train.predict(model, matrix.encode(found, read_json(LEVELS)))


def _alone(past: np.ndarray, y: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Predict by the past rate of one feature's level or bin: the baseline, and the leak detector."""
    if past.dtype == object:
        groups = {level: code for code, level in enumerate(dict.fromkeys(past))}
        a, b = (np.array([groups.get(v, len(groups)) for v in side]) for side in (past, now))
    else:
        known = past[~np.isnan(past)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, 21))) if len(known) else np.zeros(1)
        a, b = (np.searchsorted(edges, side, side="right") for side in (past, now))
        a[np.isnan(past)], b[np.isnan(now)] = len(edges) + 1, len(edges) + 1
    size = int(max(a.max(), b.max())) + 1
    # 20 rows at the mean rate: a rare level must not look certain.
    rate = (np.bincount(a, y, size) + 20 * y.mean()) / (np.bincount(a, minlength=size) + 20)
    return np.asarray(rate[b])


def _champion(now: np.ndarray) -> dict[str, np.ndarray]:
    """Let the release in service score the same rows with its own code and model."""
    if (release := releases.stable()) is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        rows, scored = Path(folder, "rows.parquet"), Path(folder, "scored.parquet")
        pl.read_parquet(VALID).filter(pl.Series(now)).write_parquet(rows)
        command = [sys.executable, "-m", str(__package__), "score", str(rows), str(scored)]
        root = releases.source(release).resolve()
        environment = os.environ | {"PYTHONPATH": str(root)}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise config.Problem(f"evaluate: release {release} cannot score: {done.stderr[-200:]}")
        return {"champion": pl.read_parquet(scored)["probability"].to_numpy()}


def _report(
    predictions: dict[str, np.ndarray], y: np.ndarray, days: np.ndarray, seed: int, business: config.Business
) -> dict[str, Any]:
    intervals, leads = metrics.auc_interval(y, list(predictions.values()), days, seed)
    report: dict[str, Any] = {"business_metric": business.metric, "positive_rate": float(y.mean())}
    for (name, p), interval, lead in zip(predictions.items(), intervals, leads, strict=True):
        report[name] = {
            "auc": metrics.auc(y, p),
            "auc_interval": interval.tolist(),
            "auc_lead_interval": lead.tolist(),
            "brier": float(np.mean((p - y) ** 2)),
            "calibration_error": metrics.calibration_error(y, p),
            "value_per_1000": metrics.value_per_1000(y, p, business.right, business.wrong),
        }
    return report


def _slices(model: np.ndarray, y: np.ndarray, now: np.ndarray) -> dict[str, float]:
    frame, found = pl.read_parquet(FEATURES).filter(pl.Series(now)), {}
    for column in [name for name in frame.columns if name.startswith("slice:")]:
        for level in frame[column].unique(maintain_order=True).drop_nulls():
            rows = (frame[column] == level).to_numpy()
            if rows.sum() >= 200:
                found[f"{column.removeprefix('slice:')}={level}"] = metrics.auc(y[now][rows], model[rows])
    return found


def _gates(report: dict[str, Any], alone: dict[str, float], limits: config.Gates, floor: float) -> list[Gate]:
    model, best = report["model"], report["baseline_feature"]
    low, lead = model["auc_interval"][0], model["auc_lead_interval"][0]
    error, value, leak = model["calibration_error"], model["value_per_1000"], alone[best]
    worth = f"1000 predictions are worth {value:.1f} {report['business_metric']}"
    known = f"{best} alone reaches AUC {leak:.3f}; is it known before the prediction?"
    gates = [
        Gate("leakage", leak <= limits.leak_auc, known),
        Gate("floor", low >= floor, f"AUC may be as low as {low:.3f}, slo.yaml promises {floor}"),
        Gate("baseline", lead > 0, f"its lead over one feature ({best}) may be {lead:.3f}"),
        Gate("calibration", error <= limits.calibration_error, f"predicted rates are {error:.3f} off"),
        Gate("value", value > 0, worth),
    ]
    lowest = floor - limits.slice_auc_drop
    for name, auc in report["slices"].items():
        gates.append(Gate("slice", auc >= lowest, f"{name} has AUC {auc:.3f}, at least {lowest:.3f} is asked"))
    if "champion" in report:
        drop = report["champion"]["auc"] - model["auc"]
        what = f"its AUC is {drop:.3f} below the release in service"
        gates.append(Gate("champion", drop <= limits.champion_auc_drop, what))
    return gates
