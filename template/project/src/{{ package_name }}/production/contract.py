"""Propose contract.yaml and the time-ordered split from the data itself: `make contract`."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from .. import ingest as yours_ingest
from . import config

LEVELS = 10  # a text column of at most so many values is a closed list
ROOM = 0.5  # a range may be wider than what was seen, by this share of it


def contract() -> None:
    """Rewrite `columns` in contract.yaml and `split` in params.yaml; the rest stays as it is."""
    found, params = config.contract(proposing=True), config.params()
    frame = yours_ingest.ingest(params.source)
    for role, name in [("id", found.id), ("time", found.time), ("target", found.target)]:
        if name not in frame.columns:
            raise config.Problem(
                f"contract.yaml: {role}: no column {name} in {params.source}; "
                f"it has {', '.join(frame.columns[:12])}"
            )
    kept = [name for name in frame.columns if name not in _known(found)]
    columns = {name: _propose(frame[name]) for name in kept}
    usable = {name: column for name, column in columns.items() if column}
    _rewrite(Path("contract.yaml"), r"^columns:.*", _lines(usable))
    cuts = _time(frame[found.time])
    for key, cut in zip(("train_until", "evaluate_until"), cuts, strict=True):
        _rewrite(Path("params.yaml"), rf"^  {key}:.*$", f'  {key}: "{cut:%Y-%m-%d %H:%M:%S}"')
    left_out = sorted(set(kept) - set(usable))
    print(f"contract: {len(usable)} columns from {frame.height} rows; read contract.yaml")
    if left_out:
        print(f"contract: left out, one value or none: {', '.join(left_out)}")


def _known(found: config.Contract) -> set[str]:
    return {found.id, found.time, found.target, *found.not_features}


def _propose(values: pl.Series) -> dict[str, Any] | None:
    """Return the rules of one column, None when it can say nothing."""
    some = values.drop_nulls()
    if some.n_unique() < 2:
        return None
    nulls = {"nulls": min(1.0, round(2 * values.null_count() / len(values) + 0.01, 2))}
    missing = nulls if values.null_count() else {}
    if values.dtype == pl.Boolean:
        return {"type": "boolean"} | missing
    if values.dtype.is_numeric():
        low, high = float(some.min()), float(some.max())  # type: ignore[arg-type]
        room = ROOM * (high - low)
        low = max(low - room, 0.0) if low >= 0 else low - room
        kind = "integer" if values.dtype.is_integer() else "number"
        return {"type": kind, "min": float(f"{low:.4g}"), "max": float(f"{high + room:.4g}")} | missing
    text = some.cast(pl.String)
    if text.n_unique() <= LEVELS:
        return {"type": "string", "levels": sorted(text.unique())} | missing
    return {"type": "string", "max_length": 2 * int(text.str.len_chars().max() or 1)} | missing  # type: ignore[arg-type]


def _time(values: pl.Series) -> list[Any]:
    """Return the times that leave 60 % of the rows to train on and 20 % to evaluate."""
    times = values.str.to_datetime(strict=False) if values.dtype == pl.String else values
    times = times.cast(pl.Datetime("us")).drop_nulls()
    if len(times) < len(values) * 0.98:
        raise config.Problem(f"contract.yaml: time: {values.name} does not parse as a time")
    return [times.quantile(share, "nearest") for share in (0.6, 0.8)]


def _lines(columns: dict[str, Any]) -> str:
    flow = {"default_flow_style": True, "allow_unicode": True, "sort_keys": False, "width": 10**6}
    rows = [yaml.safe_dump({name: c}, **flow).strip()[1:-1] for name, c in columns.items()]
    return "\n".join(["columns:", *(f"  {row}" for row in rows)]) + "\n"


def _rewrite(path: Path, pattern: str, text: str) -> None:
    """Replace from the pattern on: `columns` is the last key, the cuts are lines of their own."""
    flags = re.MULTILINE if pattern.endswith("$") else re.MULTILINE | re.DOTALL
    before = path.read_text(encoding="utf-8")
    path.write_text(re.sub(pattern, lambda _: text, before, count=1, flags=flags), encoding="utf-8")
