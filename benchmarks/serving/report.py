"""Turn the figures of run.py into a table with ratios and a picture."""

from pathlib import Path
from typing import Any

Figures = dict[str, Any]
COLUMNS = [
    ("CPU, 1 client", "1 x 1", "cpu_us"),
    ("16", "1 x 16", "cpu_us"),
    ("64", "1 x 64", "cpu_us"),
    ("32 rows, 16 clients", "32 x 16", "cpu_us"),
    ("p50, 16 clients", "1 x 16", "p50_ms"),
    ("p99, 16", "1 x 16", "p99_ms"),
    ("p99, 64", "1 x 64", "p99_ms"),
    ("requests/s, 64", "1 x 64", "per_second"),
    ("p99, open", "open", "p99_ms"),
    ("memory", "server", "memory_mb"),
    ("ready", "server", "ready_s"),
]


def table(found: Figures, open_rate: int) -> str:
    """Return Markdown: each figure, and in brackets ours divided by it where that is CPU."""
    servers, about = found["servers"], found["about"]
    lines = [
        f"Medians of {about['rounds']} rounds, {about['seconds']:g} s a cell, on {about['machine']}"
        f" (load {about['load']} at the end); each server on one core. CPU: microseconds a request"
        " of the server's whole process tree; in brackets, our CPU divided by theirs. Latencies in"
        " ms, memory in MB, ready in s. All answer with one engine (history, features, model). Ours"
        " also keeps metrics, request ids, a body limit and a log of every row; the others check"
        " rows by pydantic; bare ASGI checks nothing."
        f" Open: {open_rate} requests a second, whatever comes back.",
        "",
        f"| | {' | '.join(title for title, _, _ in COLUMNS)} |",
        f"|---|{'---:|' * len(COLUMNS)}",
    ]
    for name, cells in servers.items():
        told = [_cell(cells[cell][key], servers.get("ours"), cell, key) for _, cell, key in COLUMNS]
        lines.append(f"| {name} | {' | '.join(told)} |")
    failed = {
        name: sum(c.get("failed", 0) for c in each.values()) for name, each in servers.items()
    }
    lines += [
        "",
        f"Without an answer of 200: {', '.join(f'{n} {c:g}' for n, c in failed.items())}.",
    ]
    if log := servers.get("ours", {}).get("log"):
        whole = servers["ours"]["1 x 1"]["cpu_us"]
        lines += [
            "",
            f"One write to the prediction log: {log['cpu_us']:.0f} µs of CPU,"
            f" {log['cpu_us'] / whole:.0%} of a request of one client; p99 {log['p99_us']:.0f} µs.",
        ]
    if empty := servers.get("ours", {}).get("empty"):
        told = "An empty BentoML service, without model, checks or log, is ready after"
        lines += ["", f"{told} {empty['ready_s']:.2f} s."]
    return "\n".join(lines) + "\n"


def _cell(value: float, ours: Figures | None, cell: str, key: str) -> str:
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{shown} ({ours[cell][key] / value:.2f})" if ours and key == "cpu_us" else shown


def picture(found: Figures, path: Path) -> None:
    """Draw CPU a request and p99 at 16 clients, on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(found["servers"])
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 0.5 * len(names) + 1.4), sharey=True)
    for axis, key, title in zip(
        axes, ("cpu_us", "p99_ms"), ("CPU a request, µs", "p99, ms"), strict=True
    ):
        values = [found["servers"][name]["1 x 16"][key] for name in names]
        colours = ["#1f77b4" if name == "ours" else "#b0b0b0" for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(
            bars,
            [f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in values],
            padding=3,
        )
        axis.set(
            xscale="log",
            title=f"{title} (1 row, 16 clients, log scale)",
            xlim=(min(values) / 3, 4 * max(values)),
            xticks=[],
        )
        axis.minorticks_off()
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
