"""What the routes answer: rows are checked against the contract, asked, counted, and logged before any answer."""

import importlib
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from . import config, inputs, releases
from .front import Answer, Refused
from .predictions import PredictionLog

STUCK_S = 0.1  # sooner, a busy machine would be taken for a model that hangs
WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
logger = logging.getLogger("bentoml.service")


class TimeUp(BaseException):
    """The model takes longer than promised. No Exception: code of yours that catches those lets it through."""


def _ring(*_: Any) -> None:
    raise TimeUp


class Asked(NamedTuple):
    """The rows of a body, or what is wrong with one; whether they came as a list; the good ones with their history."""

    decoded: list[Answer | str]
    many: bool
    rows: list[Answer]
    note: Answer


Tell = Callable[[Asked, list[Any], str], Answer]  # of the rows, what the model says of each, and the request's id


class Answers:
    """A release in its source folder, `root`: loaded once per worker, before the worker is ready."""

    def __init__(self, root: Path) -> None:
        from prometheus_client import Counter  # where its files go is known in a worker only

        from .score import Engine  # the master process imports this module too, and needs no model

        self.release, self.engine = releases.verify(root), Engine(root)
        contract, slo = self.engine.contract, config.slo(root)
        self.prior = self.engine.prior if slo.fallback == "baseline" else None
        self.patience = max(slo.latency_s, STUCK_S)
        signal.signal(signal.SIGALRM, _ring)
        self.input, label = inputs.Decoder(contract), inputs.label_type(contract)
        self.example = msgspec.json.decode((root / "model/golden.json").read_bytes())["rows"][0]
        self.labels = msgspec.json.Decoder(label | Annotated[list[label], inputs.BATCH])  # type: ignore[valid-type]

        def counter(name: str, text: str) -> Counter:
            return Counter(f"service_{name}_total", text, ["release"]).labels(self.release)

        self.predictions = counter("predictions", "Rows answered")
        self.missing = counter("history_missing", "Rows answered without their history")
        self.failed = counter("rows_failed", "Rows without an answer beside good ones")
        self.fallbacks = counter("fallback", "Requests with rows that the model could not answer")
        dropped = counter("log_dropped", "Rows that the log lost")
        self.log = PredictionLog(Path(os.environ.get("RUN_DIR", "run")), dropped.inc)
        self.batches: Any = None
        if contract.encoder:  # it takes little longer for thirty rows than for one
            made = importlib.import_module(".batches", __package__)
            self.batches = made.Batches(self.engine.ask)
            self.engine.ask(self.asked(msgspec.json.encode(self.example)).rows)  # what loads late is loaded

    def decode(self, body: bytes) -> tuple[list[Answer | str], bool]:
        """Return the rows of a body, for a wrong one its error, and whether they came as a list."""
        try:
            found = self.input.rows(body)
        except msgspec.ValidationError as error:
            found = self._decode_singly(body, error)
        except WRONG as error:
            raise Refused(400, str(error)) from None
        many = isinstance(found, list)
        rows = [row if isinstance(row, str) else self.input.named(row) for row in (found if many else [found])]
        if all(isinstance(row, str) for row in rows):
            raise Refused(422, str(rows[0]))
        return rows, many

    def _decode_singly(self, body: bytes, whole: msgspec.ValidationError) -> list[Any]:
        """Decode each row of a list, or its error; refuse a body that is no list of rows."""
        try:
            parts = self.input.parts(body)
        except WRONG:
            raise Refused(422, str(whole)) from None
        found: list[Any] = []
        for part in parts:
            try:
                found.append(self.input.row(part))
            except WRONG as error:
                found.append(str(error))
        return found

    def recall(self, rows: list[Answer]) -> tuple[list[Answer], Answer]:
        """Return rows with their history, and what to say of them."""
        rows, read = self.engine.store.recall(rows)
        if not read:
            self.missing.inc(len(rows))
        return rows, {} if read else {"degraded": True}

    def ask(self, rows: list[Answer]) -> list[Any]:
        """Return a prediction for each row; None where features or model break, or are not done in time."""
        try:
            signal.setitimer(signal.ITIMER_REAL, self.patience + len(rows) / 1000)
            try:
                return self.engine.ask(rows)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except TimeUp:
            logger.exception("%d rows were not answered in %s s", len(rows), self.patience)
            return [None] * len(rows)

    def predict(self, body: bytes, request_id: str) -> Answer | Coroutine[Any, Any, Answer]:
        asked = self.asked(body)
        if self.batches:
            return self._later(self._tell, asked, request_id, self.patience)
        return self._tell(asked, self.ask(asked.rows), request_id)

    def check(self, body: bytes, request_id: str) -> Answer | Coroutine[Any, Any, Answer]:
        """Answer a list as `predict` does, in any time, and neither log nor count: so a release is tried."""
        asked = self.asked(body)
        if self.batches:
            return self._later(self._raw, asked, request_id)
        return self._raw(asked, self.engine.ask(asked.rows), request_id)

    async def _later(self, tell: Tell, asked: Asked, request_id: str, patience: float | None = None) -> Answer:
        return tell(asked, await self.batches.ask(asked.rows, patience), request_id)

    def _tell(self, asked: Asked, said: list[Any], request_id: str) -> Answer:
        """Log and count what is said, and return the answer."""
        answer, lines = self._say(asked, said, request_id)
        self.log.put(lines)
        self.predictions.inc(len(lines))
        if any("fallback" in line for line in lines):
            self.fallbacks.inc()  # requests, as errors are: canaries compare them
        if not lines:
            raise Refused(503, "the model cannot answer; ask again later")
        if len(lines) < len(asked.decoded):
            self.failed.inc(len(asked.decoded) - len(lines))
        return answer

    def _raw(self, asked: Asked, said: list[Any], request_id: str) -> Answer:
        answer, lines = self._say(asked, said, request_id)
        return answer | {"raw": [line["prediction"] for line in lines if "fallback" not in line]}

    def asked(self, body: bytes) -> Asked:
        decoded, many = self.decode(body)
        return Asked(decoded, many, *self.recall([row for row in decoded if not isinstance(row, str)]))

    def _say(self, asked: Asked, predictions: list[Any], request_id: str) -> tuple[Answer, list[Answer]]:
        """Return the answer, and the lines for the log."""
        said = iter(zip(asked.rows, predictions, strict=True))
        answers, lines, at = [], [], round(time.time(), 3)
        for number, row in enumerate(asked.decoded):
            if isinstance(row, str):
                answers.append({"error": row})
                continue
            good, p = next(said)
            flag = {} if p is not None else {"fallback": True}
            if flag:
                p = self.prior
            if p is None:
                answers.append({"error": "the model cannot answer this row; ask again later"})
                continue
            name = f"{request_id}:{number}" if asked.many else request_id
            lines.append({"id": name, "prediction": p, "row": good, "release": self.release, "at": at} | flag)
            answers += [answer | flag for answer in self.engine.answers([p])]
        return asked.note | ({"predictions": answers} if asked.many else answers[0]), lines

    def explain(self, body: bytes, request_id: str) -> Answer:
        asked = self.asked(body)
        if wrong := [row for row in asked.decoded if isinstance(row, str)]:
            raise Refused(422, wrong[0])
        found = self.engine.explain(asked.rows)
        return asked.note | {"contributions": found if asked.many else found[0]}

    def feedback(self, body: bytes, request_id: str) -> Answer:
        try:
            found = self.labels.decode(body)
        except WRONG as error:
            raise Refused(422 if isinstance(error, msgspec.ValidationError) else 400, str(error)) from None
        labels, at = found if isinstance(found, list) else [found], time.time()  # exact: the newest label counts
        self.log.put([{"id": label.request_id, "label": label.label, "at": at} for label in labels])
        return {"accepted": len(labels)}

    def metadata(self, body: bytes, request_id: str) -> Answer:
        told = {"dataset": self.engine.contract.dataset, "contract_version": self.engine.contract.version}
        return told | {"row": self.input.schema, "example": self.example}
