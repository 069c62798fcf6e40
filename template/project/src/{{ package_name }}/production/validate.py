"""Hold a batch against contract.yaml: bad rows to quarantine, a broken batch stops the pipeline."""

from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

from . import config
from .stages import RAW, VALID, write, write_json

QUARANTINE, REPORT = Path("data/quarantine.parquet"), Path("reports/validate.json")
RULES: dict[str, Any] = {"integer": dy.Integer, "number": dy.Float, "boolean": dy.Bool, "datetime": dy.Datetime}
RULES |= dict.fromkeys(("string", "text"), dy.String)


def validate() -> None:
    """Split data/raw.parquet into valid and quarantined rows; stop at a broken batch."""
    contract, raw = config.contract(), pl.read_parquet(RAW)
    refuse_columns(raw, contract)
    good, bad, counts = split(raw, contract)
    missing = {name: raw[name].null_count() / max(raw.height, 1) for name in [*contract.columns, contract.target]}
    write_json(REPORT, {"rows": raw.height, "valid": good.height, "quarantined": counts, "missing": missing})
    write(QUARANTINE, bad)
    for name, share in missing.items():
        allowed = contract.columns[name].nulls if name in contract.columns else contract.unlabelled
        if share > allowed > 0:
            what = f"{share:.1%} of {name} is missing, the contract allows {allowed:.1%}"
            raise config.Problem(f"validate: {what}; ask its source")
    if bad.height > contract.quarantine * raw.height:
        worst = max(counts, key=lambda rule: counts[rule])
        what = f"{bad.height} of {raw.height} rows break the contract, most of them {worst} ({counts[worst]})"
        raise config.Problem(f"validate: {what}; it allows {contract.quarantine:.1%}; see {QUARANTINE}")
    write(VALID, good)
    print(f"validate: {good.height} rows valid, {bad.height} in {QUARANTINE} {counts or ''}")


def refuse_columns(raw: pl.DataFrame, contract: config.Contract) -> None:
    """Stop at a missing or retyped column, naming it and the first values that do not fit."""
    for name, column in (contract.columns | dict.fromkeys(contract.outcomes, config.Column(type="string"))).items():
        if name not in raw.columns:
            way_out = "ask its source, or change contract.yaml and raise its version"
            raise config.Problem(f"validate: column {name} is missing from the batch; {way_out}")
        if column.type not in ("string", "datetime", "text") and raw.schema[name] == pl.String:
            right = raw[name].cast(RULES[column.type]().dtype, strict=False)
            wrong = raw[name].filter(right.is_null() & raw[name].is_not_null())
            shown = ", ".join(map(repr, (wrong if len(wrong) else raw[name].drop_nulls()).head(3)))
            what = f"column {name} came as text, not {column.type} (e.g. {shown})"
            raise config.Problem(f"validate: {what}; ask its source")


def split(raw: pl.DataFrame, contract: config.Contract) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """Return valid rows, broken rows (the first rule they break in `rule`), and counts by rule."""
    rules: dict[str, Any] = {contract.key: dy.String(primary_key=True), contract.clock: dy.Datetime()}
    told = {"binary": dy.Bool, "multiclass": dy.String, "regression": dy.Float}[contract.task]
    rules |= {contract.target: told(nullable=True)}
    rules |= {past.of: dy.Float(nullable=True) for past in contract.history.values() if past.of != contract.target}
    rules |= {past.known: dy.Datetime(nullable=True) for past in contract.history.values()}
    rules |= {name: _rule(column) for name, column in contract.columns.items()}
    between = {name: _between(sql) for name, sql in contract.rules.items()}
    # Under aliases: a column may be named like a method of the schema.
    columns = {f"c{at}": rule.with_alias(name) for at, (name, rule) in enumerate(rules.items())}
    schema: type[dy.Schema] = type("Contract", (dy.Schema,), columns | between)
    good, failure = schema.filter(raw.select(rules.keys()), cast=True)
    counts, details = {rule: count for rule, count in failure.counts().items() if count}, failure.details()
    broken = [rule for rule in counts if rule in details.columns]
    named = [pl.when(pl.col(rule) == "invalid").then(pl.lit(rule)) for rule in broken]
    return good, details.select(*rules, rule=pl.coalesce([*named, pl.lit("")])), counts


def _between(sql: str) -> Any:
    return dy.rule()(lambda _: pl.sql_expr(sql))


def _rule(column: config.Column) -> Any:
    limits: dict[str, Any] = {"nullable": column.nulls > 0}
    if column.type == "string" and column.levels:
        limits["check"] = {"levels": lambda values: values.is_in(column.levels)}
    elif column.type in ("string", "text"):
        limits["max_length"] = column.max_length
    elif column.type in ("integer", "number"):
        limits |= {"min": column.min, "max": column.max}
    return RULES[column.type](**limits)
