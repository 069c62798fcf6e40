"""The card that serves, if one does: what ops/gpu.yaml says of it, and contract.yaml of the encoder that it runs."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from . import config
from .facts import leaves

CARD, CONTRACT = "ops/gpu.yaml", "contract.yaml"


class Exporter(config.Strict):
    """What measures a card, and the names under which Prometheus knows what it found."""

    image: str
    port: int
    busy: str
    full: config.Positive
    used_mib: str


class Card(config.Strict):
    """The card that serves, or a slice of it: ops/gpu.yaml."""

    card: str
    slice: str
    vendor: Literal["nvidia", "amd"]
    memory_mib: config.Positive
    memory_eighths: Annotated[int, Field(ge=1, le=8)]
    compute_sevenths: Annotated[int, Field(ge=1, le=7)]
    tflops: config.Positive
    bandwidth_gb_s: config.Positive
    precision: Literal["bf16", "fp16"]
    driver: str
    backend: str
    resource: str
    selector: dict[str, str]
    exporter: Exporter
    cards: dict[str, config.Positive]  # the memory of each that could be chosen, in MiB
    source: str
    date: str


class Reads(config.Strict):
    """What the plan takes from contract.yaml."""

    encoder: config.Encoder


def given() -> dict[str, Any]:
    """Return what is known of card and encoder, each number with its place; nothing where the processor serves."""
    if not Path(CARD).exists():
        return {"gpu": {}, "reads": {}}
    if not (encoder := config.contract().encoder):
        raise config.Problem(f"{CONTRACT}: names no encoder, and {CARD} is a card for one; add encoder")
    card = config.load(Path(CARD), Card).model_dump()
    return {"gpu": leaves(CARD, card), "reads": leaves(CONTRACT, {"encoder": encoder.model_dump()})}
