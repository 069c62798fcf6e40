"""What the routes answer: rows are checked against the contract, asked, counted, and logged before any answer."""

import logging
import os
import signal
import time
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

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
        self.times = [name for name, column in contract.columns.items() if column.type == "datetime"]
        self.times += [contract.time] if contract.time else []
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

    def decode(self, body: bytes) -> tuple[list[Answer | str], bool]:
        """Return the rows of a body, for a wrong one its error, and whether they came as a list."""
        try:
            found = self.input.rows(body)
        except msgspec.ValidationError as error:
            found = self._decode_singly(body, error)
        except WRONG as error:
            raise Refused(400, str(error)) from None
        many = isinstance(found, list)
        rows = [row if isinstance(row, str) else self._named(row) for row in (found if many else [found])]
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

    def _named(self, row: Any) -> Answer | str:
        """Return a row by the contract's names, its times in UTC; or why it has no such time."""
        named = dict(zip(self.engine.contract.row, msgspec.structs.astuple(row), strict=True))
        for name in self.times:
            if named[name] and named[name].tzinfo:
                try:
                    named[name] = named[name].astimezone(UTC).replace(tzinfo=None)
                except OverflowError:
                    return f"{name}: {named[name]} is no time in UTC"
        return named

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
                return self._ask_all(rows)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except TimeUp:
            logger.exception("%d rows were not answered in %s s", len(rows), self.patience)
            return [None] * len(rows)

    def _ask_all(self, rows: list[Answer]) -> list[Any]:
        try:
            return list(self.engine.predict(rows).tolist())
        except Exception:
            logger.exception("%d rows failed%s", len(rows), "; each is asked alone" if len(rows) > 1 else "")
            return [self._ask_all([row])[0] for row in rows] if len(rows) > 1 else [None]

    def predict(self, body: bytes, request_id: str) -> Answer:
        answer, lines, asked = self._say(body, request_id, in_time=True)
        self.log.put(lines)
        self.predictions.inc(len(lines))
        if any("fallback" in line for line in lines):
            self.fallbacks.inc()  # requests, as errors are: canaries compare them
        if not lines:
            raise Refused(503, "the model cannot answer; ask again later")
        if len(lines) < asked:
            self.failed.inc(asked - len(lines))
        return answer

    def check(self, body: bytes, request_id: str) -> Answer:
        """Answer a list as `predict` does, in any time, and neither log nor count: so a release is tried."""
        answer, lines, _ = self._say(body, request_id, in_time=False)
        return answer | {"raw": [line["prediction"] for line in lines if "fallback" not in line]}

    def _say(self, body: bytes, request_id: str, in_time: bool) -> tuple[Answer, list[Answer], int]:
        """Return the answer to a body, the lines for the log, and how many rows were asked."""
        decoded, many = self.decode(body)
        rows, note = self.recall([row for row in decoded if not isinstance(row, str)])
        said = iter(zip(rows, self.ask(rows) if in_time else self._ask_all(rows), strict=True))
        answers, lines, at = [], [], round(time.time(), 3)
        for number, row in enumerate(decoded):
            if isinstance(row, str):
                answers.append({"error": row})
                continue
            asked, p = next(said)
            flag = {} if p is not None else {"fallback": True}
            if flag:
                p = self.prior
            if p is None:
                answers.append({"error": "the model cannot answer this row; ask again later"})
                continue
            name = f"{request_id}:{number}" if many else request_id
            lines.append({"id": name, "prediction": p, "row": asked, "release": self.release, "at": at} | flag)
            answers += [answer | flag for answer in self.engine.answers([p])]
        return note | ({"predictions": answers} if many else answers[0]), lines, len(decoded)

    def explain(self, body: bytes, request_id: str) -> Answer:
        decoded, many = self.decode(body)
        if wrong := [row for row in decoded if isinstance(row, str)]:
            raise Refused(422, wrong[0])
        rows, note = self.recall([row for row in decoded if not isinstance(row, str)])
        found = self.engine.explain(rows)
        return note | {"contributions": found if many else found[0]}

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
