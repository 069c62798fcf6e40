"""Judge the candidate on rows that it has not seen: every gate must hold, or nothing is packaged."""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from .. import train as yours_train
from . import config, matrix, metrics, releases
from .stages import LEVELS, MODEL, RAW, load_features, read_json, write_json

REPORT = Path("reports/evaluate.json")


@dataclasses.dataclass
class Gate:
    name: str
    value: float
    limit: float
    holds: bool
    what: str


def evaluate() -> None:
    """Write reports/evaluate.json; stop when a gate fails, naming each gate that does."""
    params, contract, slo = config.params(), config.contract(), config.slo()
    found, y, when = load_features(contract)
    start, end = np.datetime64(params.split.train_until), np.datetime64(params.split.evaluate_until)
    past, now = (when < start) & ~np.isnan(y), (when >= start) & (when < end) & ~np.isnan(y)
    if now.sum() < 100 or len(np.unique(y[now])) < 2:
        raise config.Problem(
            f"evaluate: {now.sum()} labelled rows between split.train_until and "
            "split.evaluate_until are too few to judge; move them in params.yaml"
        )
    x = matrix.encode({name: array[now] for name, array in found.items()}, read_json(LEVELS))
    model = yours_train.predict(yours_train.load(MODEL.read_text(encoding="utf-8")), x)
    alone = {name: _alone(array[past], y[past], array[now]) for name, array in found.items()}
    scores = {name: metrics.auc(y[now], p) for name, p in alone.items()}
    best = max(scores, key=lambda name: scores[name])
    predictions = {"baseline": alone[best], "model": model} | _champion(now)
    days = when[now].astype("datetime64[D]")
    report = _report(predictions, y[now], days, params.seed, slo.business)
    report |= {"baseline_feature": best, "rows": int(now.sum()), "slices": _slices(model, y, now)}
    gates = _gates(report, scores, params.gates, slo.objectives.quality.auc)
    write_json(REPORT, report | {"gates": [dataclasses.asdict(gate) for gate in gates]})
    _show(report)
    if failed := [gate for gate in gates if not gate.holds]:
        raise config.Problem("\n".join(f"evaluate: gate {g.name}: {g.what}" for g in failed))
    print(f"evaluate: all {len(gates)} gates hold -> {REPORT}")


def by_month() -> list[dict[str, Any]]:
    """Return AUC of baseline and model per month of the live period: hindsight, for the report."""
    params, contract = config.params(), config.contract()
    found, y, when = load_features(contract)
    past = (when < np.datetime64(params.split.train_until)) & ~np.isnan(y)
    best = read_json(REPORT)["baseline_feature"]
    baseline = _alone(found[best][past], y[past], found[best])
    text = MODEL.read_text(encoding="utf-8")
    model = yours_train.predict(
        yours_train.load(text), matrix.encode(found, read_json(LEVELS))
    )
    months, rows = when.astype("datetime64[M]"), []
    for month in np.unique(months[when >= np.datetime64(params.split.evaluate_until)]):
        now = (months == month) & ~np.isnan(y)
        if now.sum() >= 200:
            scores = {"baseline": metrics.auc(y[now], baseline[now])}
            scores |= {"model": metrics.auc(y[now], model[now])}
            rows.append({"month": str(month), "rows": int(now.sum())} | scores)
    return rows


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
    release = releases.stable()
    if release is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        rows, scored = Path(folder, "rows.parquet"), Path(folder, "scored.parquet")
        pl.read_parquet(RAW.with_name("valid.parquet")).filter(pl.Series(now)).write_parquet(rows)
        command = [sys.executable, "-m", __package__, "score", str(rows), str(scored)]
        source = releases.source(release)
        done = subprocess.run(command, cwd=source, capture_output=True, text=True)
        if done.returncode:
            raise config.Problem(f"evaluate: release {release} cannot score: {done.stderr[-200:]}")
        return {"champion": pl.read_parquet(scored)["probability"].to_numpy()}


def _report(
    predictions: dict[str, np.ndarray],
    y: np.ndarray,
    days: np.ndarray,
    seed: int,
    business: config.Business,
) -> dict[str, Any]:
    intervals, leads = metrics.auc_interval(y, list(predictions.values()), days, seed)
    report: dict[str, Any] = {}
    for index, (name, p) in enumerate(predictions.items()):
        report[name] = {
            "auc": metrics.auc(y, p),
            "auc_interval": intervals[index].tolist(),
            "auc_lead_interval": leads[index].tolist(),
            "brier": float(np.mean((p - y) ** 2)),
            "calibration_error": metrics.calibration_error(y, p),
            "value_per_1000": metrics.value_per_1000(y, p, business.right, business.wrong),
        }
    return report | {"business_metric": business.metric, "positive_rate": float(y.mean())}


def _slices(model: np.ndarray, y: np.ndarray, now: np.ndarray) -> dict[str, float]:
    frame = pl.read_parquet("data/features.parquet").filter(pl.Series(now))
    found = {}
    for column in [name for name in frame.columns if name.startswith("slice:")]:
        for level in frame[column].unique(maintain_order=True).drop_nulls():
            rows = (frame[column] == level).to_numpy()
            if rows.sum() >= 200:
                name = f"{column.removeprefix('slice:')}={level}"
                found[name] = metrics.auc(y[now][rows], model[rows])
    return found


def _gates(
    report: dict[str, Any], alone: dict[str, float], limits: config.Gates, floor: float
) -> list[Gate]:
    model, low = report["model"], report["model"]["auc_interval"][0]
    lead = model["auc_lead_interval"][0]
    leak, leak_auc = max(alone.items(), key=lambda item: item[1])
    error, value = model["calibration_error"], model["value_per_1000"]
    gates = [
        Gate("leakage", leak_auc, limits.leak_auc, leak_auc <= limits.leak_auc,
             f"{leak} alone reaches AUC {leak_auc:.3f}; is it known before the prediction?"),
        Gate("floor", low, floor, low >= floor,
             f"AUC may be as low as {low:.3f}, slo.yaml promises {floor}"),
        Gate("baseline", lead, 0.0, lead > 0,
             f"its lead over one feature ({report['baseline_feature']}) may be {lead:.3f}"),
        Gate("calibration", error, limits.calibration_error, error <= limits.calibration_error,
             f"predicted and observed rates differ by {error:.3f}"),
        Gate("value", value, 0.0, value > 0,
             f"1000 predictions are worth {value:.1f} {report['business_metric']}"),
    ]  # fmt: skip
    for name, auc in report["slices"].items():
        limit = floor - limits.slice_auc_drop
        gates.append(Gate("slice", auc, limit, auc >= limit, f"{name} has AUC {auc:.3f}"))
    if "champion" in report:
        drop, limit = report["champion"]["auc"] - model["auc"], limits.champion_auc_drop
        gates.append(Gate("champion", drop, limit, drop <= limit,
                          f"its AUC is {drop:.3f} below the release in service"))  # fmt: skip
    return gates


def _show(report: dict[str, Any]) -> None:
    print(f"{'':10}{'AUC':>7}{'95 % interval':>18}{'Brier':>8}{'value per 1000':>16}")
    for name in [name for name in ("baseline", "model", "champion") if name in report]:
        row, (low, high) = report[name], report[name]["auc_interval"]
        interval = f"{low:.3f} to {high:.3f}"
        print(f"{name:10}{row['auc']:7.3f}{interval:>18}{row['brier']:8.3f}"
              f"{row['value_per_1000']:16.1f}")  # fmt: skip
