"""Hold a batch against contract.yaml: bad rows to quarantine, a broken batch stops the pipeline."""

from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

from . import config
from .stages import RAW, VALID, write, write_json

QUARANTINE, REPORT = Path("data/quarantine.parquet"), Path("reports/validate.json")
KINDS: dict[str, Any] = {"integer": pl.Int64, "number": pl.Float64, "boolean": pl.Boolean}


def validate() -> None:
    """Split data/raw.parquet into valid and quarantined rows; stop at a broken batch."""
    contract, raw = config.contract(), pl.read_parquet(RAW)
    refuse_columns(raw, contract)
    good, bad, counts = split(raw, contract)
    missing = {name: raw[name].null_count() / max(raw.height, 1) for name in contract.columns}
    missing[contract.target] = good[contract.target].null_count() / max(good.height, 1)
    write_json(REPORT, {"rows": raw.height, "valid": good.height, "quarantined": counts, "missing": missing})
    write(QUARANTINE, bad)
    refuse_batch(contract, raw.height, bad.height, counts, missing)
    write(VALID, good)
    print(f"validate: {good.height} rows valid, {bad.height} in {QUARANTINE} {counts or ''}")


def refuse_columns(raw: pl.DataFrame, contract: config.Contract) -> None:
    """Stop at a missing or retyped column, naming it and the first values that do not fit."""
    for name in [contract.id, contract.time, contract.target, *contract.columns]:
        if name not in raw.columns:
            way_out = "ask its source, or change contract.yaml and raise its version"
            raise config.Problem(f"validate: column {name} is missing from the batch; {way_out}")
    for name, column in contract.columns.items():
        if column.type in KINDS and raw.schema[name] == pl.String:
            number = pl.col(name).cast(KINDS[column.type], strict=False)
            wrong = raw.filter(pl.col(name).is_not_null() & number.is_null())[name].head(3)
            shown = ", ".join(map(repr, wrong if len(wrong) else raw[name].drop_nulls().head(3)))
            what = f"column {name} came as text, not {column.type} (e.g. {shown})"
            raise config.Problem(f"validate: {what}; ask its source")


def split(raw: pl.DataFrame, contract: config.Contract) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """Return valid rows, broken rows (the first rule they break in `rule`), and counts by rule."""
    needed = [contract.id, contract.time, contract.target, *contract.columns]
    good, failure = _schema(contract).filter(raw.select(needed), cast=True)
    counts, details = {rule: count for rule, count in failure.counts().items() if count}, failure.details()
    broken = [rule for rule in counts if rule in details.columns]
    named = [pl.when(pl.col(rule) == "invalid").then(pl.lit(rule)) for rule in broken]
    return good, details.select(*needed, rule=pl.coalesce([*named, pl.lit("")])), counts


def refuse_batch(
    contract: config.Contract, rows: int, bad: int, counts: dict[str, int], missing: dict[str, float]
) -> None:
    """Stop when more rows or values are missing or broken than the contract allows."""
    allowed = {name: column.nulls for name, column in contract.columns.items()}
    allowed[contract.target] = contract.unlabelled
    for name, share in missing.items():
        if share > allowed[name] > 0:
            what = f"{share:.1%} of {name} is missing, the contract allows {allowed[name]:.1%}"
            raise config.Problem(f"validate: {what}; ask its source")
    if bad > contract.quarantine * rows:
        worst = max(counts, key=lambda rule: counts[rule])
        what = f"{bad} of {rows} rows break the contract, most of them {worst} ({counts[worst]})"
        raise config.Problem(f"validate: {what}; it allows {contract.quarantine:.1%}; see {QUARANTINE}")


def _schema(contract: config.Contract) -> type[dy.Schema]:
    columns: dict[str, Any] = {
        contract.id: dy.String(primary_key=True),
        contract.time: dy.Datetime(),
        contract.target: dy.Bool(nullable=True),
    }
    for name, column in contract.columns.items():
        limits: dict[str, Any] = {"nullable": column.nulls > 0}
        if column.type == "string" and column.levels:
            levels = column.levels
            limits["check"] = {"levels": lambda values, levels=levels: values.is_in(levels)}
        elif column.type == "string":
            limits["max_length"] = column.max_length
        elif column.type != "boolean":
            limits |= {"min": column.min, "max": column.max}
        kinds: dict[str, Any] = {"string": dy.String, "integer": dy.Integer, "number": dy.Float}
        columns[name] = kinds.get(column.type, dy.Bool)(**limits)
    return type("Contract", (dy.Schema,), columns)
