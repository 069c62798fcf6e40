"""Learn how models age: train on ever older rows and score each on the newest labels."""

from pathlib import Path

import numpy as np

from . import config, metrics, plan
from .stages import labelled, learn, load_features, predict, write_json

REPORT, DAY = Path("reports/staleness.json"), np.timedelta64(1, "D")


def staleness() -> None:
    """Write reports/staleness.json and .svg; refuse a promised age at which the quality is not kept."""
    goal, split, seed = config.slo().objectives, config.params().split, config.params().seed
    found, y, when = load_features()
    start = when[~np.isnan(y)].max() - np.timedelta64(split.evaluate_until - split.train_until)
    now, length = labelled(when >= start, y), (start - when.min()) / 2  # as much to learn from at each age
    ages = np.arange(7) * min(30, int(length / DAY) // 6)
    if not config.contract().time or not ages.any():
        raise config.Problem(f"staleness: {length / DAY:.0f} days show no age; bring more rows, with a time")
    new, each = {name: array[now] for name, array in found.items()}, []
    for until in start - ages * DAY:
        past = labelled((when >= until - length) & (when < until), y)
        each.append(predict(*learn(found, y, past), new))
        print(f"staleness: {past.sum()} rows until {until} learnt", flush=True)
    intervals, _ = metrics.auc_intervals(y[now], each, when[now].astype("datetime64[D]"), seed)
    aucs = [metrics.auc(metrics.questions(y[now], p)) for p in each]
    for age, auc, interval in zip(ages, aucs, intervals, strict=True):
        print("staleness: {:4} days old: AUC {:.3f} ({:.3f} to {:.3f})".format(age, auc, *interval))
    floor, promised = goal.quality_auc.target, goal.model_age_days.target
    kept = int(np.append(intervals[:, 0] >= floor, False).argmin())  # so many points, before the first that fails
    found_days = {"holds_days": int(ages[max(kept, 1) - 1]), "floor": floor, "promised": promised}
    points = {"age_days": ages.tolist(), "auc": aucs, "auc_interval": intervals.tolist()} | found_days
    write_json(REPORT, points)
    REPORT.with_suffix(".svg").write_text(plan.page("staleness.svg", points), encoding="utf-8")
    told = f"AUC {floor} holds for {points['holds_days']} days, and the data shows {ages[-1]}"
    if kept < len(ages) and points["holds_days"] < promised:
        raise config.Problem(f"slo.yaml: model_age_days: {promised:g} are promised; {told}; promise that, see {REPORT}")
    print(f"staleness: {told}; {promised:g} are promised -> {REPORT}")
