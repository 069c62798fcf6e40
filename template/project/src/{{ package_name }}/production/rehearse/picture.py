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
    sent = sorted(sent, key=lambda s: s.at)
    start = sent[0].at
    at = np.array([s.at - start for s in sent])
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(11, 11), layout="constrained")
    axes = figure.subplots(5, 1, sharex=True, height_ratios=[2, 2, 1.3, 1.8, 0.9])
    _traffic(axes[0], sent, at)
    _latency(axes[1], sent, at)
    _budget(axes[2], sent, at)
    _drift(axes[3], sent, at, story["drift"])
    _releases(axes[4], sent, at)
    live = [r for r in story["results"] if r.get("live") and "start" in r]
    for number, result in enumerate(sorted(live, key=lambda r: r["start"])):
        for axis in axes:
            span = (result["start"] - start, result["end"] - start)
            axis.axvspan(*span, color="#8793a8", alpha=0.2, lw=0)
        place = (result["start"] - start, 1.02 + 0.1 * (number % 3))
        axes[0].annotate(result["id"], place, xycoords=("data", "axes fraction"), fontsize=8)
    axes[-1].set_xlabel("seconds since the first request; grey: a fault is on")
    image = io.StringIO()
    figure.savefig(image, format="svg")
    return image.getvalue()[image.getvalue().index("<svg") :]


def _traffic(axis: Axes, sent: list[Any], at: np.ndarray) -> None:
    second, kinds = at.astype(int), np.array([kind(s.status) for s in sent])
    counts = [np.bincount(second[kinds == k], minlength=second.max() + 1) for k in COLOURS]
    seconds = np.arange(second.max() + 1)
    axis.stackplot(seconds, counts, labels=list(COLOURS), colors=list(COLOURS.values()), step="mid")
    axis.set_ylabel("requests\nper second")
    axis.legend(loc="lower left", ncols=3, frameon=True, fontsize=8)


def _latency(axis: Axes, sent: list[Any], at: np.ndarray) -> None:
    second = at.astype(int)
    millis = np.array([1000 * s.seconds if s.status == 200 else np.nan for s in sent])
    seconds = np.unique(second[~np.isnan(millis)])
    for q, colour in ((50, "#2a78b5"), (99, "#7a4fa3")):
        found = [np.nanpercentile(millis[second == s], q) for s in seconds]
        axis.plot(seconds, found, color=colour, label=f"p{q}", lw=1.1)
    promise = config.slo().objectives.latency.p99_ms
    axis.axhline(promise, color="#c8373c", ls="--", lw=1, label=f"promised p99: {promise:g} ms")
    axis.set_yscale("log")
    axis.set_ylabel("milliseconds")
    axis.legend(loc="upper left", ncols=3, fontsize=8)


def _budget(axis: Axes, sent: list[Any], at: np.ndarray) -> None:
    failed = np.array([kind(s.status) == "failed" for s in sent])
    allowed = (1 - config.slo().objectives.availability.percent / 100) * len(sent)
    left = 100 * (1 - np.cumsum(failed) / allowed)
    axis.plot(at, left, color="#2e7d4f", lw=1.4)
    axis.axhline(0, color="#c8373c", ls="--", lw=1)
    axis.set_ylabel("error budget of\nthis rehearsal\nleft, %")


def _drift(axis: Axes, sent: list[Any], at: np.ndarray, verdict: dict[str, Any]) -> None:
    """Draw distance over threshold per column, at the second in which its window ended."""
    stamps = np.array([datetime.fromisoformat(s.event_time).timestamp() for s in sent])
    alarmed = [alarm["column"] for alarm in verdict["alarms"]]
    ends = [
        at[np.searchsorted(stamps, datetime.fromisoformat(w["end"]).timestamp()).clip(0, len(at) - 1)]
        for w in verdict["windows"]
    ]
    for name in verdict["windows"][0]["over_threshold"] if verdict["windows"] else []:
        found = [w["over_threshold"][name] for w in verdict["windows"]]
        told = name in alarmed
        axis.plot(ends, found, lw=1.5 if told else 0.7, color=None if told else "#c3cad6",
                  label=name if told else None, marker="." if told else None)  # fmt: skip
    axis.axhline(1, color="#c8373c", ls="--", lw=1)
    axis.set_ylabel("drift: distance\nover threshold")
    if alarmed:
        axis.legend(loc="upper left", ncols=6, fontsize=8)


def _releases(axis: Axes, sent: list[Any], at: np.ndarray) -> None:
    names = list(dict.fromkeys(s.release for s in sent if s.release))
    for number, name in enumerate(names):
        seen = at[[s.release == name for s in sent]]
        axis.plot(seen, np.full(len(seen), number), "|", ms=9, color="#2a78b5")
    axis.set_yticks(range(len(names)), names, fontsize=8, family="monospace")
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_ylabel("release\nthat answered")
