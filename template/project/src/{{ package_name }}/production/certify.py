"""Measure the drift monitor on the reference data: how often it cries wolf, and which shift it finds in each column."""

from pathlib import Path
from typing import Any

import numpy as np

from . import config, drift, matrix, plan
from .stages import PROFILE, load_features, read_json, watched, windows, write_json

REPORT, PICTURE = Path("reports/certificate.json"), Path("reports/certificate.svg")
BLOCKS, FOLDS, QUARTERS, TRIALS, POWER = 7, 4, 50, 100, 0.9  # blocks of a window; quarters of each fold


def certify() -> None:
    """Write reports/certificate.json and .svg; stop when there are more false alarms than promised.

    Stable quarters are put together from blocks (days) of the past, each from the same place of some window; they are
    held against a profile that was learnt without the windows they came from. Shifts are planted into such windows.
    """
    watch, promised, rng = config.watch(), config.slo().drift, np.random.default_rng(config.params().seed)
    found, when, whole = _past(watch)
    profile = {name: column for name, column in read_json(PROFILE)["columns"].items() if name in found}
    counts = {name: _counts(found[name], column["bins"], when, whole, watch) for name, column in profile.items()}
    folds, alarms = np.array_split(np.arange(len(whole)), FOLDS), list[int]()
    for number, held_out in enumerate(folds):
        print(f"certify: stable quarters, {number} of {FOLDS} parts of the past done", flush=True)
        others = [whole[place] for place in range(len(whole)) if place not in held_out]
        judge = drift.learn(found, others, watch, len(found) + 1)
        for _ in range(QUARTERS):
            alarms.append(sum(_alarms(judge[name], counts[name], held_out, watch, rng) for name in judge))
    columns, percents = dict[str, Any](), sorted({promised.shift_percent, *range(5, 101, 5)})
    for name, column in profile.items():
        power = {percent: _power(column, counts[name], percent / 100, watch, rng) for percent in percents}
        enough = [percent for percent, share in power.items() if share >= POWER]
        columns[name] = {"power": power, "found_from_percent": min(enough, default=None)}
    columns = dict(sorted(columns.items(), key=lambda column: column[1]["found_from_percent"] or 101))
    sure = [name for name, found in columns.items() if (found["found_from_percent"] or 101) <= promised.shift_percent]
    rate = float(np.mean(alarms))
    facts = {"false_alarms_per_quarter": rate, "promised": promised.model_dump(), "quarters": len(alarms)}
    facts |= {"windows": len(whole), "sure": sure, "columns": columns, "alarms": alarms}
    write_json(REPORT, facts)
    PICTURE.write_text(plan.page("certificate.svg", facts), encoding="utf-8")
    if rate > promised.false_alarms_per_quarter:
        what = f"{rate:.2f} false alarms a quarter, {promised.false_alarms_per_quarter:g} promised"
        raise config.Problem(f"certify: {what}; promise more in slo.yaml under drift, or leave more time: within_days")
    print(f"certify: {rate:.2f} false alarms in a stable quarter, {promised.false_alarms_per_quarter:g} promised")
    said = f"a shift of {promised.shift_percent:g} % is found within {promised.within_days:g} days in"
    print(f"certify: {said} {len(sure)} of {len(columns)} columns -> {PICTURE}")
    for name in (name for name in columns if name not in sure):
        print(f"certify: {name}: {_why(columns[name]['found_from_percent'], profile[name], watch)}")


def _past(watch: config.Watch) -> tuple[matrix.Columns, np.ndarray, list[np.ndarray]]:
    """Return features and prediction before split.evaluate_until, their times, and the rows of each whole window."""
    found, _, when = load_features()
    known = when < np.datetime64(config.params().split.evaluate_until)
    whole = [rows for rows in windows(when[known], watch.window_days) if len(rows) >= watch.window_rows // 2]
    if len(whole) < 2 * FOLDS:
        what = f"{len(whole)} whole windows of {watch.window_days:g} days lie in the past, and {2 * FOLDS} are needed"
        raise config.Problem(f"certify: {what} to judge; bring a longer past, or lower drift.within_days in slo.yaml")
    return watched({name: array[known] for name, array in found.items()}), when[known], whole


def _counts(
    array: np.ndarray, bins: list[Any], when: np.ndarray, whole: list[np.ndarray], watch: config.Watch
) -> np.ndarray:
    """Return how many rows of each window and block lie in each bin: (windows, blocks, bins)."""
    found = np.zeros((len(whole), BLOCKS, len(bins) + 2))
    for place, rows in enumerate(whole):
        since = (when[rows] - np.datetime64(config.params().split.evaluate_until)) / np.timedelta64(1, "D")
        block = (since / watch.window_days % 1 * BLOCKS).astype(int)
        np.add.at(found[place], (block, drift.assign(array[rows], bins)), 1)
    return found


def _window(counts: np.ndarray, among: np.ndarray, watch: config.Watch, rng: np.random.Generator) -> np.ndarray:
    """Return the shares of a window put together from blocks, as many rows as a live one has."""
    rows = counts[rng.choice(among, BLOCKS), range(BLOCKS)].sum(axis=0)
    rows = rows if rows.sum() else counts[rng.choice(among)].sum(axis=0)  # rows that come all at once, once a year
    size = int(min(watch.window_rows, rows.sum()))
    return np.asarray(rng.multinomial(size, rows / rows.sum()) / size)


def _alarms(
    column: dict[str, Any], counts: np.ndarray, among: np.ndarray, watch: config.Watch, rng: np.random.Generator
) -> int:
    """Return how many alarms of a column are confirmed in one stable quarter."""
    before, streak, total = np.array(column["shares"]), 0, 0
    for _ in range(int(91 / watch.window_days)):
        now = _window(counts, among, watch, rng)
        streak = streak + 1 if drift.distance(before, now, column["bins"]) > column["threshold"] else 0
        total += streak == watch.confirm_windows
    return total


def _power(
    column: dict[str, Any], counts: np.ndarray, shift: float, watch: config.Watch, rng: np.random.Generator
) -> float:
    """Return how often so many windows in a row are all too far when a share of the rows moves to the last bin."""
    before, found = np.array(column["shares"]), 0
    target = np.zeros(len(before))
    target[int(np.argmin(before[:-2])) if isinstance(column["bins"][0], str) else -2] = 1
    for _ in range(TRIALS):
        drawn = [_window(counts, np.arange(len(counts)), watch, rng) for _ in range(watch.confirm_windows)]
        far = [drift.distance(before, (1 - shift) * now + shift * target, column["bins"]) for now in drawn]
        found += min(far) > column["threshold"]
    return found / TRIALS


def _why(found_from: float | None, column: dict[str, Any], watch: config.Watch) -> str:
    """Say from which shift on a column's is found, and what a smaller one would take."""
    least = f"a shift is found from {found_from} % on" if found_from else "no shift is found"
    if column["threshold"] > watch.least_shift:
        return f"{least}: past windows differ by up to {column['threshold']:.0%}; more days would help, more rows not"
    return f"{least}; windows of more rows would help: promise a smaller shift in slo.yaml"
