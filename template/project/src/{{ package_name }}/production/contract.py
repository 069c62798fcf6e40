"""Propose contract.yaml and the time-ordered split from the data itself: `make contract`."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from .. import ingest as yours_ingest
from . import config

LEVELS, ROOM = 10, 0.5  # text of at most so many values is a closed list; a range is this much wider than what was seen


def contract() -> None:
    """Rewrite `columns` in contract.yaml and `split` in params.yaml; the rest stays as it is."""
    found, source = config.contract(), config.params().source
    try:
        frame = yours_ingest.ingest(source)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise config.Problem(f"contract: {source} cannot be read ({error}); see `source` in params.yaml") from None
    for role, name in [("id", found.id), ("time", found.time), ("target", found.target)]:
        if name not in frame.columns:
            there = ", ".join(frame.columns[:12])
            raise config.Problem(f"contract.yaml: {role}: no column {name} in {source}; it has {there}")
    known = {found.id, found.time, found.target, *found.not_features}
    columns = {name: _propose(frame[name]) for name in frame.columns if name not in known}
    flow: dict[str, Any] = {"default_flow_style": True, "allow_unicode": True, "sort_keys": False, "width": 10**6}
    lines = [f"  {yaml.safe_dump({name: c}, **flow).strip()[1:-1]}\n" for name, c in columns.items() if c]
    _rewrite(Path("contract.yaml"), r"(?ms)^columns:.*", "columns:\n" + "".join(lines))
    when = frame[found.time]
    when = (
        (when.str.to_datetime(strict=False) if when.dtype == pl.String else when).cast(pl.Datetime("us")).drop_nulls()
    )
    if len(when) < 0.98 * frame.height:
        raise config.Problem(f"contract.yaml: time: {found.time} does not parse as a time")
    for key, share in (("train_until", 0.6), ("evaluate_until", 0.8)):
        cut = when.quantile(share, "nearest")
        _rewrite(Path("params.yaml"), rf"(?m)^  {key}:.*$", f'  {key}: "{cut:%Y-%m-%d %H:%M:%S}"')
    left_out = ", ".join(sorted(name for name, c in columns.items() if not c))
    print(f"contract: {len(lines)} columns from {frame.height} rows; read contract.yaml")
    print(f"contract: left out, one value or none: {left_out or 'nothing'}")


def _propose(values: pl.Series) -> dict[str, Any] | None:
    """Return the rules of one column, None when it can say nothing."""
    some = values.drop_nulls()
    if some.n_unique() < 2:
        return None
    nulls = round(min(1.0, 2 * values.null_count() / len(values) + 0.01), 2)
    missing = {"nulls": nulls} if values.null_count() else {}
    if values.dtype == pl.Boolean:
        return {"type": "boolean"} | missing
    if values.dtype.is_numeric():
        low, high = float(some.min()), float(some.max())  # type: ignore[arg-type]
        room = ROOM * (high - low)
        limits = {"min": low - room if low < 0 else max(low - room, 0.0), "max": high + room}
        kind = "integer" if values.dtype.is_integer() else "number"
        return {"type": kind} | {name: float(f"{limit:.4g}") for name, limit in limits.items()} | missing
    text = some.cast(pl.String)
    if text.n_unique() <= LEVELS:
        return {"type": "string", "levels": sorted(text.unique())} | missing
    return {"type": "string", "max_length": 2 * int(text.str.len_chars().max() or 1)} | missing  # type: ignore[arg-type]


def _rewrite(path: Path, pattern: str, text: str) -> None:
    path.write_text(re.sub(pattern, lambda _: text, path.read_text(encoding="utf-8"), count=1), encoding="utf-8")
