"""Judge the candidate on rows that it has not seen: every gate must hold, or nothing is packaged."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from . import config, drift, metrics, releases
from .stages import LEVELS, MODEL, PROFILE, REPORT, VALID, labelled, load_features, predict, read_json, redo, write_json

Report = dict[str, Any]


def evaluate() -> None:
    """Write reports/evaluate.json; stop when a gate fails, naming each gate that does."""
    params, contract, slo = config.params(), config.contract(), config.slo()
    found, y, when = load_features()
    start, end = np.datetime64(params.split.train_until), np.datetime64(params.split.evaluate_until)
    past, now = labelled(when < start, y), labelled((when >= start) & (when < end), y)
    rows, y_now, days = pl.read_parquet(VALID).filter(pl.Series(now)), y[now], when[now].astype("datetime64[D]")
    known = {name: array[past] for name, array in found.items()}
    each = drift.watched(found, drift.axes(known)).items()
    alone = {name: metrics.alone(array[past], y[past], array[now], contract.several) for name, array in each}
    scores = {name: metrics.auc(metrics.questions(y_now, p)) for name, p in alone.items()}
    best = max(scores, key=lambda name: scores[name])
    text, unseen = MODEL.read_text(encoding="utf-8"), {name: array[now] for name, array in found.items()}
    model = predict(text, read_json(LEVELS), unseen)
    predictions = {"baseline": alone[best], "model": model} | _champion(rows)
    intervals, leads = metrics.auc_intervals(y_now, list(predictions.values()), days, params.seed)
    report: Report = {"baseline_feature": best, "baseline_auc": scores[best], "rows": len(y_now)}
    report |= {"task": contract.task, "target_mean": float(y_now.mean()), "business_metric": slo.business.metric}
    error = "mean abs error" if contract.task == "regression" else "Brier score"
    report["reproducible"] = redo(found, y, past) == read_json(PROFILE)["redo"]
    print(f"{'':10}{'AUC':>7}{'95 % interval':>18}{error:>16}{'value per 1000':>16}")
    for (name, p), interval, lead in zip(predictions.items(), intervals.tolist(), leads.tolist(), strict=True):
        row = {"auc": metrics.auc(metrics.questions(y_now, p)), "auc_interval": interval, "auc_lead_interval": lead}
        row |= {"error": _error(y_now, p, contract), "calibration_error": metrics.calibration_error(y_now, p)}
        row |= {"value_per_1000": _value(y_now, p, alone[best], contract, slo.business)}
        report[name] = row | {"slices": _slices(rows.select(contract.slices).get_columns(), y_now, p)}
        shown = "{:10}{auc:7.3f}{:>18}{error:16.4g}{value_per_1000:16.1f}"
        print(shown.format(name, "{:.3f} to {:.3f}".format(*interval), **report[name]))
    if "champion" in report:
        report |= releases.manifest(releases.source(str(releases.stable()))).get("judged", {})
    report["gates"] = _gates(report, params.gates, slo.objectives.quality_auc.target)
    write_json(REPORT, report)
    if failed := [gate for gate in report["gates"] if not gate["holds"]]:
        raise config.Problem("\n".join("evaluate: gate {name}: {what}".format(**gate) for gate in failed))
    print(f"evaluate: all {len(report['gates'])} gates hold -> {REPORT}")


def _champion(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    """Let the release in service score the same rows with its own code and model."""
    if (release := releases.stable()) is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        rows.write_parquet(asked := Path(folder, "rows.parquet"))
        releases.ask(release, "-m", str(__package__), "score", str(asked), f"{folder}/scored.parquet")
        return {"champion": pl.read_parquet(f"{folder}/scored.parquet").to_numpy().squeeze()}


def _error(y: np.ndarray, p: np.ndarray, contract: config.Contract) -> float:
    """Return the Brier score (multiclass: summed over the classes), or the mean absolute error of a number."""
    if contract.task == "regression":
        return float(np.abs(p - y).mean())
    truth = np.eye(p.shape[1])[y.astype(int)] if p.ndim == 2 else y[:, None]
    return float(((p.reshape(len(y), -1) - truth) ** 2).sum(axis=1).mean())


def _value(
    y: np.ndarray, p: np.ndarray, baseline: np.ndarray, contract: config.Contract, business: config.Business
) -> float:
    """Return what 1000 predictions are worth when they are acted upon wherever it pays.

    Binary: an alarm, right or wrong. Multiclass: the likeliest class. A number is right where it is nearer than the
    baseline's, and is always acted upon.
    """
    right, sure = y == 1, p
    if contract.task == "multiclass":
        right, sure = p.argmax(axis=1) == y, p.max(axis=1)
    elif contract.task == "regression":
        right, sure = np.abs(p - y) < np.abs(baseline - y), (p != baseline).astype(float)
    acts = sure * business.right > (1 - sure) * business.wrong
    return float(1000 * np.mean(acts * np.where(right, business.right, -business.wrong)))


def _slices(columns: list[pl.Series], y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Return the AUC of each level that has at least 200 rows."""
    parts = metrics.levels(columns).items()
    large = {name: part for name, part in parts if part.sum() >= 200 and len(np.unique(y[part])) > 1}
    return {name: metrics.auc(metrics.questions(y[part], p[part])) for name, part in large.items()}


def _gates(report: Report, limits: config.Gates, floor: float) -> list[dict[str, Any]]:
    model, best, leak = report["model"], report["baseline_feature"], report["baseline_auc"]
    low, lead, error = model["auc_interval"][0], model["auc_lead_interval"][0], model["calibration_error"]
    value, lowest = model["value_per_1000"], floor - limits.slice_auc_drop
    unit = " standard deviations" if report["task"] == "regression" else ""
    again = "the same rows, trained again, must give the same model; see train.py"
    known = f"{best} alone reaches AUC {leak:.3f}; is it known before the prediction?"
    gates = [
        ("leakage", leak <= limits.leak_auc, known),
        ("floor", low >= floor, f"AUC may be as low as {low:.3f}, slo.yaml promises {floor}"),
        ("baseline", lead > 0, f"its lead over one feature ({best}) may be {lead:.3f}"),
        ("calibration", error <= limits.calibration_error, f"predictions are {error:.3f}{unit} off"),
        ("value", value > 0, f"1000 predictions are worth {value:.1f} {report['business_metric']}"),
        ("reproducible", report["reproducible"], again),
    ]
    for name, auc in model["slices"].items():
        gates.append(("slice", auc >= lowest, f"{name} has AUC {auc:.3f}, at least {lowest:.3f} is asked"))
    if "champion" in report:
        drop = report["champion"]["auc"] - model["auc"]
        gates += [("champion", drop <= limits.champion_auc_drop, f"its AUC is {drop:.3f} below the release in service")]
    if "auc_at_release" in report:
        then, now = report["auc_at_release"], report["champion"]["auc"]
        what = f"the release in service falls from AUC {then:.3f} to {now:.3f} on these labels: are they right?"
        gates.append(("labels", then - now <= limits.labels_auc_drop, what))
    return [dict(zip(("name", "holds", "what"), gate, strict=True)) for gate in gates]
