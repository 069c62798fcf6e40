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
    contract = config.contract()
    raw = pl.read_parquet(RAW)
    refuse_columns(raw, contract)
    good, bad, counts = split(raw, contract)
    nulls = {name: raw[name].null_count() / max(raw.height, 1) for name in contract.columns}
    unlabelled = good[contract.target].null_count() / max(good.height, 1)
    report = {"rows": raw.height, "valid": good.height, "quarantined": counts}
    write_json(REPORT, report | {"nulls": nulls, "unlabelled": unlabelled})
    write(QUARANTINE, bad)
    refuse_batch(contract, raw.height, bad.height, counts, nulls | {contract.target: unlabelled})
    write(VALID, good)
    print(f"validate: {good.height} rows valid, {bad.height} in {QUARANTINE} {counts or ''}")


def refuse_columns(raw: pl.DataFrame, contract: config.Contract) -> None:
    """Stop at a missing or retyped column, naming it and the first values that do not fit."""
    for name in [contract.id, contract.time, contract.target, *contract.columns]:
        if name not in raw.columns:
            raise config.Problem(
                f"validate: column {name} is missing from the batch; "
                "ask its source, or change contract.yaml and raise its version"
            )
    for name, column in contract.columns.items():
        if column.type in KINDS and raw.schema[name] == pl.String:
            as_number = pl.col(name).cast(KINDS[column.type], strict=False)
            wrong = raw.filter(pl.col(name).is_not_null() & as_number.is_null())[name].head(3)
            shown = wrong if wrong.len() else raw[name].drop_nulls().head(3)
            raise config.Problem(
                f"validate: column {name} came as text, not {column.type} "
                f"(e.g. {', '.join(map(repr, shown))}); ask its source"
            )


def split(
    raw: pl.DataFrame, contract: config.Contract
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """Return valid rows, broken rows (the first rule they break in `rule`), and counts by rule."""
    schema = _schema(contract)
    needed = [contract.id, contract.time, contract.target, *contract.columns]
    good, failure = schema.filter(raw.select(needed), cast=True)
    counts = {rule: count for rule, count in failure.counts().items() if count}
    details = failure.details()
    broken = [rule for rule in counts if rule in details.columns]
    named = [pl.when(pl.col(rule) == "invalid").then(pl.lit(rule)) for rule in broken]
    first = pl.coalesce([*named, pl.lit("")])
    bad = details.select(*needed, rule=first)
    return good, bad, counts


def refuse_batch(
    contract: config.Contract,
    rows: int,
    bad: int,
    counts: dict[str, int],
    nulls: dict[str, float],
) -> None:
    """Stop when more rows or values are missing or broken than the contract allows."""
    allowed = {name: column.nulls for name, column in contract.columns.items()}
    allowed[contract.target] = contract.unlabelled
    for name, share in nulls.items():
        if share > allowed[name] and allowed[name] > 0:
            raise config.Problem(
                f"validate: {share:.1%} of {name} is missing, the contract allows "
                f"{allowed[name]:.1%}; ask its source"
            )
    if bad > contract.quarantine * rows:
        worst = max(counts, key=lambda rule: counts[rule])
        raise config.Problem(
            f"validate: {bad} of {rows} rows break the contract, most of them {worst} "
            f"({counts[worst]}); the contract allows {contract.quarantine:.1%}; see {QUARANTINE}"
        )


def _schema(contract: config.Contract) -> type[dy.Schema]:
    columns: dict[str, Any] = {
        contract.id: dy.String(primary_key=True),
        contract.time: dy.Datetime(nullable=False),
        contract.target: dy.Bool(nullable=True),
    }
    for name, column in contract.columns.items():
        nullable = column.nulls > 0
        if column.type == "string":
            limits: dict[str, Any] = {"max_length": column.max_length}
            if column.levels:
                levels = column.levels
                limits = {"check": {"levels": lambda c, levels=levels: c.is_in(levels)}}
            columns[name] = dy.String(nullable=nullable, **limits)
        elif column.type == "boolean":
            columns[name] = dy.Bool(nullable=nullable)
        else:
            kind: Any = dy.Integer if column.type == "integer" else dy.Float
            columns[name] = kind(nullable=nullable, min=column.min, max=column.max)
    return type("Contract", (dy.Schema,), columns)
