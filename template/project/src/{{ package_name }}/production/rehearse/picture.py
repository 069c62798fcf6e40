"""Draw the rehearsal over time: traffic, latency, error budget, drift, releases and faults."""

import io
from datetime import datetime
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import config

COLOURS = {"answered": "#2a78b5", "shed": "#e8a33d", "failed": "#c8373c"}


def kind(status: int) -> str:
    """Say what became of a request: shed is a polite no, failed is a broken promise."""
    return "answered" if status == 200 else "shed" if status == 429 else "failed"


def draw(story: dict[str, Any], sent: list[Any]) -> str:
    """Return the picture as SVG."""
    sent, slo = sorted(sent, key=lambda s: s.at), config.slo().objectives
    at, kinds = np.array([s.at - sent[0].at for s in sent]), np.array([kind(s.status) for s in sent])
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(11, 11), layout="constrained")
    traffic, latency, budget, drift, served = figure.subplots(5, sharex=True, height_ratios=[2, 2, 1.3, 1.8, 1])
    second, seconds = at.astype(int), np.arange(int(at.max()) + 1)
    counts = [np.bincount(second[kinds == k], minlength=len(seconds)) for k in COLOURS]
    traffic.stackplot(seconds, counts, labels=list(COLOURS), colors=list(COLOURS.values()), step="mid")
    millis = np.array([1000 * s.seconds if s.status == 200 else np.nan for s in sent])
    seconds = np.unique(second[~np.isnan(millis)])
    for q, colour in ((50, "#2a78b5"), (99, "#7a4fa3")):
        slowest = [np.nanpercentile(millis[second == s], q) for s in seconds]
        latency.plot(seconds, slowest, color=colour, label=f"p{q}", lw=1.1)
    latency.axhline(slo.latency_p99_ms.target, color="#c8373c", ls="--", lw=1, label="promised p99")
    latency.set_yscale("log")
    allowed = (1 - slo.availability_percent.target / 100) * len(sent)
    left = 100 * (1 - np.cumsum(kinds == "failed") / allowed)
    budget.plot(at, left.clip(-100), color="#2e7d4f", lw=1.4)
    budget.axhline(0, color="#c8373c", ls="--", lw=1)
    _drift(drift, sent, at, story["drift"])
    names = list(dict.fromkeys(s.release for s in sent if s.release))
    for number, name in enumerate(names):
        served.plot(at[[s.release == name for s in sent]], [number] * sum(s.release == name for s in sent), "|", ms=9)
    served.set_yticks(range(len(names)), names, fontsize=8, family="monospace")
    served.set_ylim(-0.6, len(names) - 0.4)
    live = sorted((r for r in story["results"] if r["live"] and "end" in r), key=lambda r: r["start"])
    for number, result in enumerate(live):
        start, end = result["start"] - sent[0].at, result["end"] - sent[0].at
        for axis in figure.axes:
            axis.axvspan(start, end, color="#8793a8", alpha=0.2, lw=0)
        place = (start, 1.02 + 0.1 * (number % 3))
        traffic.annotate(result["id"], place, xycoords=("data", "axes fraction"), fontsize=8)
    labels = ["requests\nper second", "milliseconds", "error budget of this\nrehearsal left, %"]
    labels += ["drift: distance\nover threshold", "release\nthat answered"]
    for axis, label in zip(figure.axes, labels, strict=True):
        axis.set_ylabel(label)
    for axis in (traffic, latency, drift):
        axis.legend(loc="upper left", ncols=6, fontsize=8)
    served.set_xlabel("seconds since the first request; grey: a fault is on")
    image = io.StringIO()
    figure.savefig(image, format="svg")
    return image.getvalue()[image.getvalue().index("<svg") :]


def _drift(axis: Axes, sent: list[Any], at: np.ndarray, verdict: dict[str, Any]) -> None:
    """Draw distance over threshold per column, at the second in which its window ended."""
    when = np.maximum.accumulate([datetime.fromisoformat(s.event_time).timestamp() for s in sent])
    ends = [datetime.fromisoformat(w["end"]).timestamp() for w in verdict["windows"]]
    places = at[np.searchsorted(when, ends).clip(0, len(at) - 1)]
    alarmed = [alarm["column"] for alarm in verdict["alarms"]]
    for name in verdict["windows"][0]["over_threshold"] if ends else []:
        found = [window["over_threshold"][name] for window in verdict["windows"]]
        told = {"lw": 1.5, "marker": ".", "label": name} if name in alarmed else {"lw": 0.7, "color": "#c3cad6"}
        axis.plot(places, found, **told)
    axis.axhline(1, color="#c8373c", ls="--", lw=1, label="alarm, if confirmed")
