"""The service: checks every input against the contract, answers, counts, and logs what it said.

Runs inside a release (a Bento): model, contract and promises lie beside the code.
"""

import gc
from pathlib import Path
from typing import Any

import bentoml

from . import config
from .answers import Answers
from .front import Front, Routes

ROOT, PACKAGE = Path(__file__).parents[2], Path(__file__).parents[1].name
FRONT = Front()
WORKERS = 1 if (ROOT / "ops/derived/gpu.json").exists() else 2  # a card is not shared


class Fronted(bentoml.Service):
    """A BentoML service whose own routes are answered by the front."""

    def to_asgi(self, is_main: bool = True) -> Any:
        FRONT.inner = super().to_asgi(is_main)
        return FRONT


@bentoml.service(
    service_class=Fronted,
    name=PACKAGE,
    workers=WORKERS,
    metrics={"enabled": False},  # the front serves /metrics
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},  # it costs a third of the time even when nothing is sampled
)
class Service:
    def __init__(self) -> None:
        self.answers = ask = Answers(ROOT)
        promise = config.slo(ROOT).latency_s
        # Floats, and the promise itself among them: otherwise the share of slow answers is a guess.
        buckets = sorted({0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0} | {promise})
        routes: Routes = {f"/{f.__name__}": ("POST", f) for f in (ask.predict, ask.explain, ask.feedback, ask.check)}
        FRONT.open(ask.release, {**routes, "/metadata": ("GET", ask.metadata)}, buckets)
        gc.collect()
        gc.freeze()  # what is loaded stays: no pause looks at it again
        gc.set_threshold(5_000, 20, 20)

    @bentoml.on_shutdown
    def close(self) -> None:
        self.answers.log.close()
