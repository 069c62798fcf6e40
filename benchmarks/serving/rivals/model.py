"""What every rival shares: the engine of our release, so that only the serving differs."""

import importlib
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

ROOT = Path(os.environ["RELEASE"])  # the source folder of a release
sys.path.insert(0, str(ROOT))
PACKAGE = next(ROOT.glob("*/production")).parent.name
ENGINE = importlib.import_module(f"{PACKAGE}.production.score").Engine(ROOT)
CONTRACT = ENGINE.contract


def answer(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers to rows, with their history looked up."""
    asked, _ = ENGINE.store.recall(rows)
    return ENGINE.answers(ENGINE.predict(asked).tolist())


def row_model() -> type[BaseModel]:
    """Return a pydantic model with the contract's checks, as one would write it by hand."""
    fields: dict[str, Any] = {name: (_kind(rule), ...) for name, rule in CONTRACT.columns.items()}
    fields[CONTRACT.time] = (datetime, ...)
    return create_model("Row", __config__=ConfigDict(extra="forbid"), **fields)


def _kind(rule: Any) -> Any:
    kind: Any = {"boolean": bool, "datetime": datetime}.get(rule.type)
    if rule.type == "string":
        long = Annotated[str, Field(max_length=rule.max_length)]
        kind = Literal[tuple(rule.levels)] if rule.levels else long
    elif rule.type in ("integer", "number"):
        number = int if rule.type == "integer" else float
        kind = Annotated[number, Field(ge=rule.min, le=rule.max)]
    return kind | None if rule.nulls else kind
