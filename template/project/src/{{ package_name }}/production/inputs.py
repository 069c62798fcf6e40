"""The types of what may be sent, from the contract: decoding into them is the input check."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from . import config

BATCH = Meta(min_length=1, max_length=1000)
UNNAMEABLE = re.compile(r'[\\"\x00-\x1f]')


class Decoder:
    """Decodes JSON into rows of a contract: every column, and nothing else.

    msgspec takes no quote, backslash or control character in a name: such names go by another, a slower way.
    """

    def __init__(self, contract: config.Contract) -> None:
        kinds = {name: _kind(column) for name, column in contract.columns.items()}
        kinds |= {contract.time: datetime} if contract.time else {}
        self._row = contract.row
        self._times = [name for name, kind in kinds.items() if kind in (datetime, datetime | None)]
        self._names = {name: f"\ufffd{n}\ufffd" for n, name in enumerate(kinds) if UNNAMEABLE.search(name)}
        fields = [(f"c{number}", kind) for number, kind in enumerate(kinds.values())]
        renamed = {f"c{number}": self._names.get(name, name) for number, name in enumerate(kinds)}
        row = msgspec.defstruct("Row", fields, rename=renamed, forbid_unknown_fields=True)
        kind = row | Annotated[list[row], BATCH]  # type: ignore[valid-type]
        self.row, self.rows = self._into(row), self._into(kind)
        self.parts = msgspec.json.Decoder(Annotated[list[msgspec.Raw], BATCH]).decode
        told = json.dumps(msgspec.json.schema(row), ensure_ascii=False)
        for name, other in self._names.items():
            told = told.replace(f'"{other}"', json.dumps(name))
        self.schema = json.loads(told)

    def _into(self, kind: Any) -> Callable[[bytes | msgspec.Raw], Any]:
        if not self._names:
            return msgspec.json.Decoder(kind).decode
        first = msgspec.json.Decoder(dict[str, Any] | list[dict[str, Any]])

        def decode(body: bytes | msgspec.Raw) -> Any:
            try:
                found = first.decode(body)
                many = [self._renamed(row) for row in found] if isinstance(found, list) else self._renamed(found)
                return msgspec.convert(many, kind)
            except msgspec.ValidationError as error:
                text = str(error)
                for name, other in self._names.items():
                    text = text.replace(other, name)
                raise msgspec.ValidationError(text) from None

        return decode

    def named(self, row: Any) -> dict[str, Any] | str:
        """Return a decoded row by the contract's names, its times in UTC; or why it has no such time."""
        named = dict(zip(self._row, msgspec.structs.astuple(row), strict=True))
        for name in self._times:
            if named[name] and named[name].tzinfo:
                try:
                    named[name] = named[name].astimezone(UTC).replace(tzinfo=None)
                except OverflowError:
                    return f"{name}: {named[name]} is no time in UTC"
        return named

    def _renamed(self, row: dict[str, Any]) -> dict[str, Any]:
        return {self._names.get(name, name): value for name, value in row.items()}


def _kind(column: config.Column) -> Any:
    kind: Any = {"boolean": bool, "datetime": datetime}.get(column.type)
    if column.type in ("string", "text"):
        kind = Literal[tuple(column.levels)] if column.levels else Annotated[str, Meta(max_length=column.max_length)]
    elif column.type == "integer":
        kind = Annotated[int, Meta(ge=_int64(column.min), le=_int64(column.max))]
    elif column.type == "number":
        kind = Annotated[float, Meta(ge=column.min, le=column.max)]
    return kind | None if column.nulls else kind


def _int64(bound: float | None) -> int | None:
    """Return a bound as msgspec takes it: one that no integer of ours reaches is none."""
    return None if bound is None else max(-(2**63), min(2**63 - 1, int(bound)))


def label_type(contract: config.Contract) -> Any:
    """Return the type of one late label."""
    kinds: dict[str, Any] = {"binary": bool, "regression": float, "multiclass": Literal[tuple(contract.classes or "-")]}
    fields = [("request_id", Annotated[str, Meta(max_length=80)]), ("label", kinds[contract.task])]
    return msgspec.defstruct("Label", fields, forbid_unknown_fields=True)
