"""The front: the service's own routes, as plain ASGI before BentoML's middleware, which costs more than the model.

It limits bodies, names each answer's release and request, counts, times, and turns what goes wrong into a status.
What it does not know (/readyz, the pages) goes on to BentoML.
"""

import functools
import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

BODY_BYTES = 1 << 20
logger = logging.getLogger("bentoml.service")
Answer = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[bytes, str], Answer | Awaitable[Answer]]  # of the body and the request's id; raises Refused
Routes = Mapping[str, tuple[str, Handler]]  # by path: the method, and who answers


class Refused(Exception):
    """A request that is wrong: its HTTP status, and what to say."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Front:
    """An ASGI application in front of another; `open` it when there is something to answer with."""

    def __init__(self) -> None:
        self.inner: Any = None
        self._routes: Routes = {}

    def open(self, release: str, routes: Routes, buckets: Sequence[float]) -> None:
        """Answer these paths for a release from now on."""
        from prometheus_client import Counter, Histogram  # where its files go is known in a worker only

        requests = Counter("service_requests_total", "Requests", ["release", "route", "code"])
        seconds = Histogram("service_request_seconds", "Time to answer", ["release", "route"], buckets=buckets)
        self._count = functools.cache(lambda route, status: requests.labels(release, route, status).inc)
        self._time = {path: seconds.labels(release, path[1:]).observe for path in routes}
        self._release, self._encode = release, msgspec.json.Encoder().encode
        # Ids of one worker differ in a number: the log keeps them in a byte or two each.
        self._ids = map(f"{uuid.uuid4().hex[:16]}{{:x}}".format, count())
        self._header = [(b"content-type", b"application/json"), (b"x-release", release.encode())]
        self._routes = routes

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path == "/metrics":
            await _metrics(send)
        elif path not in self._routes:
            await self.inner(scope, receive, send)
        else:
            start, request_id = time.perf_counter(), self._name(scope)
            status, answer = await self._answer(path, request_id, scope, receive)
            self._count(path[1:], status)()
            self._time[path](time.perf_counter() - start)
            body = self._encode({"release": self._release, "request_id": request_id} | answer)
            await _send(send, status, body, [*self._header, (b"x-request-id", request_id.encode("latin-1"))])

    def _name(self, scope: Any) -> str:
        for key, value in scope["headers"]:
            if key == b"x-request-id" and value:
                return str(value[:64].decode("latin-1"))
        return next(self._ids)

    async def _answer(self, path: str, request_id: str, scope: Any, receive: Receive) -> tuple[int, Answer]:
        method, handler = self._routes[path]
        try:
            if scope["method"] != method:
                raise Refused(405, f"{path} takes {method}")
            answer = handler(await _body(receive), request_id)
            return 200, answer if isinstance(answer, dict) else await answer
        except Refused as refused:
            return refused.status, {"error": str(refused)}
        except Exception:
            logger.exception("%s failed for request %s", path, request_id)
            return 500, {"error": "this is our fault; report the request id"}


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more and len(body) <= BODY_BYTES:
        message = await receive()
        body, more = body + message.get("body", b""), bool(message.get("more_body"))
    if len(body) > BODY_BYTES:
        raise Refused(413, f"the body is larger than {BODY_BYTES} bytes; send fewer rows")
    return body


async def _metrics(send: Send) -> None:
    """Say what all workers have counted. BentoML's own counters are off: theirs has a series for any path asked."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest, multiprocess

    files = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db")
    whole = [str(path) for path in files if path.stat().st_size]  # a worker that found the disk full left an empty one
    counted: Any = SimpleNamespace(collect=functools.partial(multiprocess.MultiProcessCollector.merge, whole))
    await _send(send, 200, generate_latest(counted), [(b"content-type", CONTENT_TYPE_LATEST.encode())])


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
