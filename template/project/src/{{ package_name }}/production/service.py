"""The service: checks every input against the contract, answers, counts, and logs what it said.

Runs inside a release (a Bento): model, contract and promises lie beside the code.
"""

import contextlib
import gc
import importlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

import bentoml
import msgspec
from msgspec import Meta

from . import config, inputs, releases
from .front import Answer, Front, Refused, Routes
from .predictions import PredictionLog

ROOT, PACKAGE = Path(__file__).parents[2], Path(__file__).parents[1].name
BATCH = Meta(min_length=1, max_length=1000)
# LightGBM imports these where it finds them, for seconds: a development environment has them, the image has not.
HEAVY = {
    "pandas": "pandas",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "dask": "dask",
    "pyarrow": "pyarrow",
}
FRONT, WRONG = Front(), (msgspec.DecodeError, UnicodeDecodeError)
logger = logging.getLogger("bentoml.service")


class Answers:
    """What the routes need: loaded once per worker, before the worker is ready."""

    def __init__(self) -> None:
        from prometheus_client import Counter  # where its files go is known in a worker only

        from .score import Engine  # the master process imports this module too, and needs no model

        self.release, self.engine = releases.verify(ROOT), Engine(ROOT)
        contract = self.engine.contract
        row, label = inputs.row_type(contract), inputs.label_type(contract)
        self.times = [name for name, column in contract.columns.items() if column.type == "datetime"]
        self.times += [contract.time] if contract.time else []
        self.schema = msgspec.json.schema(row)
        self.example = msgspec.json.decode((ROOT / "model/golden.json").read_bytes())["rows"][0]
        self.row, self.parts = msgspec.json.Decoder(row), msgspec.json.Decoder(Annotated[list[msgspec.Raw], BATCH])
        self.rows = msgspec.json.Decoder(row | Annotated[list[row], BATCH])  # type: ignore[valid-type]
        self.labels = msgspec.json.Decoder(label | Annotated[list[label], BATCH])  # type: ignore[valid-type]

        def counter(name: str, text: str) -> Counter:
            return Counter(f"service_{name}_total", text, ["release"]).labels(self.release)

        self.predictions = counter("predictions", "Rows answered")
        self.missing = counter("history_missing", "Rows answered without their history")
        self.failed = counter("rows_failed", "Rows without an answer beside good ones")
        dropped = counter("log_dropped", "Rows that the log lost")
        self.log = PredictionLog(Path(os.environ.get("RUN_DIR", "run")), dropped.inc)

    def decode(self, body: bytes) -> tuple[list[Answer | str], bool]:
        """Return the rows of a body, for a wrong one its error, and whether they came as a list."""
        try:
            found = self.rows.decode(body)
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
            parts = self.parts.decode(body)
        except msgspec.ValidationError:
            raise Refused(422, str(whole)) from None
        found: list[Any] = []
        for part in parts:
            try:
                found.append(self.row.decode(part))
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
        said = iter(zip(rows, self.ask(rows), strict=True))
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
        return told | {"row": self.schema, "example": self.example}


@contextlib.contextmanager
def _hidden(names: list[str]) -> Iterator[None]:
    """Let no import find these modules, if there is no such module yet; later ones do."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        with contextlib.suppress(ImportError):  # the model is another's
            yield
    finally:
        for name in hidden:
            del sys.modules[name]


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
        needed = (ROOT / "requirements-serve.txt").read_text(encoding="utf-8").lower()
        with _hidden([name for name, package in HEAVY.items() if package not in needed]):
            importlib.import_module("lightgbm")
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
