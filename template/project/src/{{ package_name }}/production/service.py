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
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import config, releases
from .predictions import PredictionLog
from .score import Engine

ROOT, PACKAGE = Path(__file__).parents[2], Path(__file__).parents[1].name
logger = logging.getLogger("bentoml.service")
BODY_BYTES, BATCH_ROWS = 1 << 20, 1000
SLO = config.slo(ROOT)
# Floats, and the promise itself among them: otherwise the share of slow answers is a guess.
PROMISE = SLO.objectives.latency.p99_ms / 1000
BUCKETS = sorted({0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, float(PROMISE)})


class Refused(Exception):
    """An input that is not answered: status and one line for the client."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Label(msgspec.Struct, forbid_unknown_fields=True):
    request_id: Annotated[str, msgspec.Meta(max_length=80)]
    label: bool


def row_type(contract: config.Contract) -> type[msgspec.Struct]:
    """Return the type of one row, from the contract; decoding into it is the input check."""
    fields: list[tuple[str, Any]] = [("c0", datetime)]
    names = {"c0": contract.time}
    for index, (name, column) in enumerate(contract.columns.items(), start=1):
        kind: Any = {"integer": int, "number": float, "boolean": bool}.get(column.type, str)
        if column.type == "string":
            limits = msgspec.Meta(max_length=column.max_length)
            kind = Literal[tuple(column.levels)] if column.levels else Annotated[str, limits]
        elif column.type != "boolean":
            # msgspec wants integer bounds for integers.
            low, high = (None if v is None else type(kind())(v) for v in (column.min, column.max))
            kind = Annotated[kind, msgspec.Meta(ge=low, le=high)]
        fields.append((f"c{index}", kind | None if column.nulls > 0 else kind))
        names[f"c{index}"] = name
    return msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True)


class Answers:
    """What the routes need: loaded once per worker, before the worker is ready."""

    def __init__(self) -> None:
        self.release = releases.verify(ROOT)
        self.engine = Engine(ROOT)
        row = row_type(self.engine.contract)
        self._fields = dict(zip(self.engine.names[-1:] + self.engine.names[:-1], row.__struct_fields__, strict=True))
        self.rows = msgspec.json.Decoder(row | Annotated[list[row], msgspec.Meta(min_length=1, max_length=BATCH_ROWS)])
        self.labels = msgspec.json.Decoder(Label | Annotated[list[Label], msgspec.Meta(max_length=BATCH_ROWS)])
        self.schema = msgspec.json.schema(row)
        labels = ["release"]
        self.requests = bentoml.metrics.Counter("service_requests_total", "Requests", [*labels, "route", "code"])
        self.seconds = bentoml.metrics.Histogram("service_request_seconds", "Time to answer", [*labels, "route"], buckets=BUCKETS)
        self.predictions = bentoml.metrics.Counter("service_predictions_total", "Rows answered", labels)
        self.dropped = bentoml.metrics.Counter("service_log_dropped_total", "Rows the log lost", labels)
        drop = self.dropped.labels(self.release)
        drop.inc(0)
        folder = Path(os.environ.get("RUN_DIR", "run"))
        self.log = PredictionLog(folder, drop.inc)
        business = SLO.business
        self.threshold = business.wrong / (business.right + business.wrong)

    def read(self, body: bytes) -> tuple[list[dict[str, Any]], bool]:
        """Return the rows of a body, and whether it held a list; raises Refused with the field."""
        decoded = self._decode(self.rows, body)
        many = isinstance(decoded, list)
        rows = decoded if many else [decoded]
        return [{name: _plain(getattr(row, field)) for name, field in self._fields.items()} for row in rows], many

    def read_labels(self, body: bytes) -> list[Label]:
        decoded = self._decode(self.labels, body)
        return decoded if isinstance(decoded, list) else [decoded]

    @staticmethod
    def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            raise Refused(422, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(400, str(error)) from None


def _plain(value: Any) -> Any:
    """Times with a zone become UTC, as the contract has them."""
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


async def predict(request: Request, ask: Answers, request_id: str) -> dict[str, Any]:
    rows, many = ask.read(await _body(request))
    found = ask.engine.predict(rows).tolist()
    answers = [{"probability": p, "alarm": p > ask.threshold} for p in found]
    ask.predictions.labels(ask.release).inc(len(rows))
    at, ids = time.time(), [f"{request_id}:{n}" if many else request_id for n in range(len(rows))]
    ask.log.put([
        {"id": id_, "release": ask.release, "at": at, "probability": p, "row": row}
        for id_, p, row in zip(ids, found, rows, strict=True)
    ])  # fmt: skip
    return {"predictions": answers} if many else answers[0]


async def explain(request: Request, ask: Answers, request_id: str) -> dict[str, Any]:
    rows, many = ask.read(await _body(request))
    found = ask.engine.explain(rows)
    return {"log_odds": found if many else found[0]}


async def feedback(request: Request, ask: Answers, request_id: str) -> dict[str, Any]:
    labels = ask.read_labels(await _body(request))
    at = time.time()
    ask.log.put([{"id": label.request_id, "label": label.label, "at": at} for label in labels])
    return {"accepted": len(labels)}


async def metadata(request: Request, ask: Answers, request_id: str) -> dict[str, Any]:
    contract = ask.engine.contract
    return {"dataset": contract.dataset, "contract_version": contract.version, "row": ask.schema}


Handler = Callable[[Request, Answers, str], Awaitable[dict[str, Any]]]


def _route(handler: Handler, method: str) -> Route:
    name = handler.__name__

    async def endpoint(request: Request) -> Response:
        start, ask = time.perf_counter(), app.state.answers
        request_id = request.headers.get("x-request-id", "")[:64] or uuid.uuid4().hex
        try:
            status, answer = 200, await handler(request, ask, request_id)
        except Refused as refused:
            status, answer = refused.status, {"error": str(refused)}
        except Exception:
            logger.exception("%s failed for request %s", name, request_id)
            status, answer = 500, {"error": "this is ours; report the request id"}
        ask.requests.labels(ask.release, name, status).inc()
        ask.seconds.labels(ask.release, name).observe(time.perf_counter() - start)
        answer = {"release": ask.release, "request_id": request_id} | answer
        headers = {"X-Release": ask.release, "X-Request-Id": request_id}
        return Response(msgspec.json.encode(answer), status, headers, "application/json")

    return Route(f"/{name}", endpoint, methods=[method])


async def _body(request: Request) -> bytes:
    """Return the body; refuse one that is too large as soon as that is known."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES:
            raise Refused(413, f"the body is larger than {BODY_BYTES} bytes; send fewer rows")
        parts.append(part)
    return b"".join(parts)


app = Starlette(
    routes=[_route(predict, "POST"), _route(explain, "POST"), _route(feedback, "POST"), _route(metadata, "GET")]
)


@bentoml.service(
    name=PACKAGE,
    workers=2,
    traffic={"timeout": 10},
    logging={"access": {"enabled": False}},
    # OpenTelemetry costs a third of the time even when nothing is sampled.
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(app, path="/")
class Service:
    def __init__(self) -> None:
        app.state.answers = Answers()

    @bentoml.on_shutdown
    def close(self) -> None:
        app.state.answers.log.close()
