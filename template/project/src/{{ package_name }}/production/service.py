"""The service: checks every input against the contract, answers, counts, and logs what it said.

Runs inside a release (a Bento): model, contract and promises lie beside the code.
"""

import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import bentoml
import msgspec
from msgspec import Meta
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import config, releases
from .predictions import PredictionLog
from .score import Engine

ROOT, PACKAGE = Path(__file__).parents[2], Path(__file__).parents[1].name
BODY_BYTES, BATCH = 1 << 20, Meta(min_length=1, max_length=1000)
SLO = config.slo(ROOT)
# Floats, and the promise itself among them: otherwise the share of slow answers is a guess.
BUCKETS = sorted({0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0} | {SLO.latency_s})
Counter, Histogram = bentoml.metrics.Counter, bentoml.metrics.Histogram
logger = logging.getLogger("bentoml.service")
Answer = dict[str, Any]


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
        self.release, self.engine = releases.verify(ROOT), Engine(ROOT)
        contract = self.engine.contract
        row, label = row_type(contract), label_type(contract)
        self.times = [name for name, column in contract.columns.items() if column.type == "datetime"]
        self.times += [contract.time] if contract.time else []
        self.schema, self.fields = msgspec.json.schema(row), row.__struct_fields__
        self.example = msgspec.json.decode((ROOT / "model/golden.json").read_bytes())["rows"][0]
        self.rows = msgspec.json.Decoder(row | Annotated[list[row], BATCH])  # type: ignore[valid-type]
        self.labels = msgspec.json.Decoder(label | Annotated[list[label], BATCH])  # type: ignore[valid-type]
        self.requests = Counter("service_requests_total", "Requests", ["release", "route", "code"])
        self.seconds = Histogram("service_request_seconds", "Time to answer", ["release", "route"], buckets=BUCKETS)
        self.predictions = Counter("service_predictions_total", "Rows answered", ["release"])
        self.missing = Counter("service_history_missing_total", "Rows answered without their history", ["release"])
        dropped = Counter("service_log_dropped_total", "Rows that the log lost", ["release"]).labels(self.release)
        self.log = PredictionLog(Path(os.environ.get("RUN_DIR", "run")), dropped.inc)

    async def decode(self, request: Request, decoder: msgspec.json.Decoder[Any]) -> tuple[list[Any], bool]:
        """Return what the body holds, as a list, and whether it was one; refuse what is large or wrong."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > BODY_BYTES:
                raise HTTPException(413, f"the body is larger than {BODY_BYTES} bytes; send fewer rows")
        try:
            found = decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise HTTPException(422 if isinstance(error, msgspec.ValidationError) else 400, str(error)) from None
        return (found, True) if isinstance(found, list) else ([found], False)

    async def decode_rows(self, request: Request) -> tuple[list[Answer], bool, Answer]:
        """Return rows with their history, whether they came as a list, and what to say of them; times become UTC."""
        decoded, many = await self.decode(request, self.rows)
        names = self.engine.contract.row
        rows = [dict(zip(names, (getattr(row, at) for at in self.fields), strict=True)) for row in decoded]
        for row in rows:
            for name in self.times:
                if row[name] and row[name].tzinfo:
                    row[name] = row[name].astimezone(UTC).replace(tzinfo=None)
        rows, read = self.engine.store.recall(rows)
        self.missing.labels(self.release).inc(0 if read else len(rows))
        return rows, many, {} if read else {"degraded": True}


async def predict(request: Request, ask: Answers, request_id: str) -> Answer:
    rows, many, note = await ask.decode_rows(request)
    found = ask.engine.predict(rows).tolist()
    ask.predictions.labels(ask.release).inc(len(rows))
    ids = [f"{request_id}:{number}" if many else request_id for number in range(len(rows))]
    said = {"release": ask.release, "at": time.time()}
    ask.log.put([{"id": i, "prediction": p, "row": row} | said for i, p, row in zip(ids, found, rows, strict=True)])
    answers = ask.engine.answers(found)
    return note | ({"predictions": answers} if many else answers[0])


async def explain(request: Request, ask: Answers, request_id: str) -> Answer:
    rows, many, note = await ask.decode_rows(request)
    found = ask.engine.explain(rows)
    return note | {"contributions": found if many else found[0]}


async def feedback(request: Request, ask: Answers, request_id: str) -> Answer:
    (labels, _), at = await ask.decode(request, ask.labels), time.time()
    ask.log.put([{"id": label.request_id, "label": label.label, "at": at} for label in labels])
    return {"accepted": len(labels)}


async def metadata(request: Request, ask: Answers, request_id: str) -> Answer:
    told = {"dataset": ask.engine.contract.dataset, "contract_version": ask.engine.contract.version}
    return told | {"row": ask.schema, "example": ask.example}


def _route(method: str, handler: Callable[[Request, Answers, str], Awaitable[Answer]]) -> Route:
    name = handler.__name__

    async def endpoint(request: Request) -> Response:
        start, ask = time.perf_counter(), app.state.answers
        request_id = request.headers.get("x-request-id", "")[:64] or uuid.uuid4().hex
        try:
            status, answer = 200, await handler(request, ask, request_id)
        except HTTPException as refused:
            status, answer = refused.status_code, {"error": refused.detail}
        except Exception:
            logger.exception("%s failed for request %s", name, request_id)
            status, answer = 500, {"error": "this is our fault; report the request id"}
        ask.requests.labels(ask.release, name, status).inc()
        ask.seconds.labels(ask.release, name).observe(time.perf_counter() - start)
        body = msgspec.json.encode({"release": ask.release, "request_id": request_id} | answer)
        headers = {"X-Release": ask.release, "X-Request-Id": request_id}
        return Response(body, status, headers, "application/json")

    return Route(f"/{name}", endpoint, methods=[method])


app = Starlette(routes=[*(_route("POST", made) for made in (predict, explain, feedback)), _route("GET", metadata)])


@bentoml.service(
    name=PACKAGE,
    workers=2,
    traffic={"timeout": 10},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},  # it costs a third of the time even when nothing is sampled
)
@bentoml.asgi_app(app, path="/")
class Service:
    def __init__(self) -> None:
        app.state.answers = Answers()

    @bentoml.on_shutdown
    def close(self) -> None:
        app.state.answers.log.close()
