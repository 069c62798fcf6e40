"""The types of what may be sent, from the contract: decoding into them is the input check."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from . import config


def row_type(contract: config.Contract) -> Any:
    """Return the type of one row: every column, and nothing else."""
    kinds = {name: _kind(column) for name, column in contract.columns.items()}
    kinds |= {contract.time: datetime} if contract.time else {}
    fields = [(f"c{number}", kind) for number, kind in enumerate(kinds.values())]
    names = dict(zip((field for field, _ in fields), kinds, strict=True))
    return msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True)


def _kind(column: config.Column) -> Any:
    kind: Any = {"boolean": bool, "datetime": datetime}.get(column.type)
    if column.type == "string":
        kind = Literal[tuple(column.levels)] if column.levels else Annotated[str, Meta(max_length=column.max_length)]
    elif column.type in ("integer", "number"):
        number = int if column.type == "integer" else float
        low, high = (None if bound is None else number(bound) for bound in (column.min, column.max))
        kind = Annotated[number, Meta(ge=low, le=high)]
    return kind | None if column.nulls else kind


def label_type(contract: config.Contract) -> Any:
    """Return the type of one late label."""
    kinds: dict[str, Any] = {"binary": bool, "regression": float, "multiclass": Literal[tuple(contract.classes or "-")]}
    fields = [("request_id", Annotated[str, Meta(max_length=80)]), ("label", kinds[contract.task])]
    return msgspec.defstruct("Label", fields, forbid_unknown_fields=True)
