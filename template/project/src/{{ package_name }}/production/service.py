"""The service: checks every input against the contract, answers, counts, and logs what it said.

Runs inside a release (a Bento): model, contract and promises lie beside the code.
"""

import gc
import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import bentoml
import msgspec
from msgspec import Meta

from . import config, releases
from .front import Answer, Front, Refused, Routes
from .predictions import PredictionLog

ROOT, PACKAGE = Path(__file__).parents[2], Path(__file__).parents[1].name
BATCH = Meta(min_length=1, max_length=1000)
# LightGBM imports these where it finds them, for seconds; a development environment has them, the image does not.
HEAVY = ("pandas", "sklearn", "matplotlib", "dask", "pyarrow")
FRONT, WRONG = Front(), (msgspec.DecodeError, UnicodeDecodeError)
logger = logging.getLogger("bentoml.service")


def row_type(contract: config.Contract) -> Any:
    """Return the type of one row, from the contract; decoding into it is the input check."""
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


class Answers:
    """What the routes need: loaded once per worker, before the worker is ready."""

    def __init__(self) -> None:
        from prometheus_client import Counter  # where its files go is known in a worker only

        from .score import Engine  # the master process imports this module too, and needs no model

        self.release, self.engine = releases.verify(ROOT), Engine(ROOT)
        contract = self.engine.contract
        row, label = row_type(contract), label_type(contract)
        self.times = [name for name, column in contract.columns.items() if column.type == "datetime"]
        self.times += [contract.time] if contract.time else []
        self.schema = msgspec.json.schema(row)
        self.example = msgspec.json.decode((ROOT / "model/golden.json").read_bytes())["rows"][0]
        self.row, self.parts = msgspec.json.Decoder(row), msgspec.json.Decoder(Annotated[list[msgspec.Raw], BATCH])
        self.rows = msgspec.json.Decoder(row | Annotated[list[row], BATCH])  # type: ignore[valid-type]
        self.labels = msgspec.json.Decoder(label | Annotated[list[label], BATCH])  # type: ignore[valid-type]
        self.predictions = Counter("service_predictions_total", "Rows answered", ["release"]).labels(self.release)
        missing = Counter("service_history_missing_total", "Rows answered without their history", ["release"])
        self.missing = missing.labels(self.release)
        wrong = Counter("service_rows_failed_total", "Rows without an answer beside good ones", ["release"])
        self.failed = wrong.labels(self.release)
        dropped = Counter("service_log_dropped_total", "Rows that the log lost", ["release"]).labels(self.release)
        self.log = PredictionLog(Path(os.environ.get("RUN_DIR", "run")), dropped.inc)

    def decode(self, body: bytes) -> tuple[list[Any], bool]:
        """Return what the body holds and whether it was a list; in a list, a wrong row is its error, as text."""
        try:
            found = self.rows.decode(body)
        except msgspec.ValidationError as error:
            return self._decode_singly(body, error), True
        except WRONG as error:
            raise Refused(400, str(error)) from None
        return (found, True) if isinstance(found, list) else ([found], False)

    def _decode_singly(self, body: bytes, whole: msgspec.ValidationError) -> list[Any]:
        """Return each row or, as text, its error; refuse a body that is no list, or has no good row."""
        try:
            parts = self.parts.decode(body)
        except msgspec.ValidationError:
            raise Refused(422, str(whole)) from None
        found: list[Any] = []
        for part in parts:
            try:
                found.append(self.row.decode(part))
            except WRONG as error:
                found.append(str(error))
        if all(isinstance(row, str) for row in found):
            raise Refused(422, str(whole))
        return found

    def recall(self, decoded: list[Any]) -> tuple[list[Answer], Answer]:
        """Return rows by the contract's names, with their history, and what to say of them; times become UTC."""
        names = self.engine.contract.row
        rows = [dict(zip(names, msgspec.structs.astuple(row), strict=True)) for row in decoded]
        for row in rows:
            for name in self.times:
                if row[name] and row[name].tzinfo:
                    row[name] = row[name].astimezone(UTC).replace(tzinfo=None)
        rows, read = self.engine.store.recall(rows)
        if not read:
            self.missing.inc(len(rows))
        return rows, {} if read else {"degraded": True}

    def ask(self, rows: list[Answer]) -> list[Any]:
        """Return a prediction for each row; where features or model break on some rows only, None for these."""
        try:
            return list(self.engine.predict(rows).tolist())
        except Exception:
            if len(rows) == 1:
                raise
            logger.exception("a batch of %d rows failed; each is asked alone", len(rows))
        found = [self._ask_one(row) for row in rows]
        if found == [None] * len(rows):
            raise RuntimeError("all rows of a batch failed")
        return found

    def _ask_one(self, row: Answer) -> Any:
        try:
            return self.engine.predict([row]).tolist()[0]
        except Exception:
            return None

    def predict(self, body: bytes, request_id: str) -> Answer:
        decoded, many = self.decode(body)
        rows, note = self.recall([row for row in decoded if not isinstance(row, str)])
        found = self.ask(rows)
        said = iter(zip(rows, found, strict=True))
        answers, lines, at = [], [], round(time.time(), 3)
        for number, row in enumerate(decoded):
            asked, p = (row, None) if isinstance(row, str) else next(said)
            if p is None:
                answers.append({"error": row if isinstance(row, str) else "this row is our fault; report its id"})
                continue
            name = f"{request_id}:{number}" if many else request_id
            lines.append({"id": name, "prediction": p, "row": asked, "release": self.release, "at": at})
            answers += self.engine.answers([p])
        self.log.put(lines)
        self.predictions.inc(len(lines))
        if len(lines) < len(decoded):
            self.failed.inc(len(decoded) - len(lines))
        return note | ({"predictions": answers} if many else answers[0])

    def explain(self, body: bytes, request_id: str) -> Answer:
        decoded, many = self.decode(body)
        if wrong := [row for row in decoded if isinstance(row, str)]:
            raise Refused(422, wrong[0])
        rows, note = self.recall(decoded)
        found = self.engine.explain(rows)
        return note | {"contributions": found if many else found[0]}

    def feedback(self, body: bytes, request_id: str) -> Answer:
        try:
            found = self.labels.decode(body)
        except WRONG as error:
            raise Refused(422 if isinstance(error, msgspec.ValidationError) else 400, str(error)) from None
        labels, at = found if isinstance(found, list) else [found], round(time.time(), 3)
        self.log.put([{"id": label.request_id, "label": label.label, "at": at} for label in labels])
        return {"accepted": len(labels)}

    def metadata(self, body: bytes, request_id: str) -> Answer:
        told = {"dataset": self.engine.contract.dataset, "contract_version": self.engine.contract.version}
        return told | {"row": self.schema, "example": self.example}


class Fronted(bentoml.Service):
    """A BentoML service whose own routes are answered by the front."""

    def to_asgi(self, is_main: bool = True) -> Any:
        FRONT.inner = super().to_asgi(is_main)
        return FRONT


@bentoml.service(
    service_class=Fronted,
    name=PACKAGE,
    workers=2,
    metrics={"enabled": False},  # the front serves /metrics
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},  # it costs a third of the time even when nothing is sampled
)
class Service:
    def __init__(self) -> None:
        needed = (ROOT / "requirements-serve.txt").read_text(encoding="utf-8")
        sys.modules.update({name: None for name in HEAVY if name not in needed})  # type: ignore[misc]
        self.answers = ask = Answers()
        promise = config.slo(ROOT).latency_s
        # Floats, and the promise itself among them: otherwise the share of slow answers is a guess.
        buckets = sorted({0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0} | {promise})
        routes: Routes = {f"/{each.__name__}": ("POST", each) for each in (ask.predict, ask.explain, ask.feedback)}
        FRONT.open(ask.release, {**routes, "/metadata": ("GET", ask.metadata)}, buckets)
        gc.collect()
        gc.freeze()  # what is loaded stays: no pause looks at it again
        gc.set_threshold(5_000, 20, 20)

    @bentoml.on_shutdown
    def close(self) -> None:
        self.answers.log.close()
