"""Draw the rehearsal over time: traffic, latency, error budget, drift, releases and faults."""

import io
from datetime import datetime
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from .. import config
from .traffic import Sent

COLOURS = {"answered": "#2a78b5", "shed": "#e8a33d", "failed": "#c8373c"}
LIMIT = {"color": "#c8373c", "ls": "--", "lw": 1}
LABELS = ["requests\nper second", "milliseconds", "error budget of this\nrehearsal left, %"]
LABELS += ["drift: distance\nover threshold", "release\nthat answered"]


def draw(story: dict[str, Any], sent: list[Sent]) -> str:
    """Return the picture as SVG."""
    sent, slo = sorted(sent), config.slo().objectives
    at, kinds = np.array([s.at - sent[0].at for s in sent]), np.array([s.kind for s in sent])
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(11, 11), layout="constrained")
    traffic, latency, budget, drift, served = figure.subplots(5, sharex=True, height_ratios=[2, 2, 1.3, 1.8, 1])
    second = at.astype(int)
    counts = [np.bincount(second[kinds == kind], minlength=second.max() + 1) for kind in COLOURS]
    traffic.stackplot(range(second.max() + 1), counts, labels=COLOURS, colors=COLOURS.values(), step="mid")
    millis, good = np.array([1000 * s.seconds for s in sent]), kinds == "answered"
    for q, colour in ((50, "#2a78b5"), (99, "#7a4fa3")):
        seconds = np.unique(second[good])
        slowest = [np.percentile(millis[good & (second == s)], q) for s in seconds]
        latency.plot(seconds, slowest, color=colour, label=f"p{q}", lw=1.1)
    latency.axhline(slo.latency_p99_ms.target, label="promised p99", **LIMIT)
    latency.set_yscale("log")
    allowed = (1 - slo.availability_percent.target / 100) * len(sent)
    left = 100 * (1 - np.cumsum(kinds == "failed") / allowed)
    budget.plot(at, left.clip(-100), color="#2e7d4f", lw=1.4)
    budget.axhline(0, **LIMIT)
    # A window's distance stands at the second in which the window ended.
    windows, confirm = story["drift"]["windows"], config.watch().confirm_windows
    reached = np.maximum.accumulate([s.event_time.timestamp() for s in sent])
    ends = [datetime.fromisoformat(window["end"]).timestamp() for window in windows]
    places = at[np.searchsorted(reached, ends).clip(0, len(at) - 1)]
    for name in dict.fromkeys(name for window in windows for name in window["over_threshold"]):
        found = [window["over_threshold"].get(name, np.nan) for window in windows]
        alarmed = any(min(found[first : first + confirm]) > 1 for first in range(len(found) - confirm + 1))
        style = {"lw": 1.5, "marker": ".", "label": name} if alarmed else {"lw": 0.7, "color": "#c3cad6"}
        drift.plot(places, found, **style)
    drift.axhline(1, label="alarm, if confirmed", **LIMIT)
    names = list(dict.fromkeys(s.release for s in sent if s.release))
    for number, name in enumerate(names):
        when = at[[s.release == name for s in sent]]
        served.plot(when, np.full(len(when), number), "|", ms=9)
    served.set_yticks(range(len(names)), names, fontsize=8, family="monospace")
    served.set_ylim(-0.6, len(names) - 0.4)
    served.set_xlabel("seconds since the first request; grey: a fault is on")
    taken: list[float] = []  # of the last name in each row above the picture
    for result in (r for r in story["results"] if r["live"] and "end" in r):
        start, end = result["start"] - sent[0].at, result["end"] - sent[0].at
        for axis in figure.axes:
            axis.axvspan(start, end, color="#8793a8", alpha=0.2, lw=0)
        row = next((row for row, free in enumerate(taken) if free <= start), len(taken))
        taken[row : row + 1] = [start + 0.009 * at.max() * len(result["id"])]
        traffic.annotate(result["id"], (start, 1.02 + 0.1 * row), xycoords=("data", "axes fraction"), fontsize=8)
    for axis, label in zip(figure.axes, LABELS, strict=True):
        axis.set_ylabel(label)
    for axis in (traffic, latency, drift):
        axis.legend(loc="upper left", ncols=6, fontsize=8)
    image = io.StringIO()
    figure.savefig(image, format="svg")
    return image.getvalue()[image.getvalue().index("<svg") :]
