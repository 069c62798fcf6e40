"""The rehearsal's report: one page for people, the same facts as JSON and Markdown."""

import time
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from .. import config
from ..stages import write_json
from . import picture


def write(story: dict[str, Any], folder: Path) -> int:
    """Write rehearsal.html, .json and .md; print the table; return 1 if a fault got through."""
    sent = story.pop("sent")
    story["results"].sort(key=lambda result: result.get("start", 0))
    story["caught"] = sum(result["verdict"] == "caught" for result in story["results"])
    story["requests"] = _requests(sent) if sent else None
    write_json(folder / "rehearsal.json", story)
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=jinja2.select_autoescape(),
        trim_blocks=True,
    )
    facts = story | {"slo": config.slo(), "dataset": config.contract().dataset}
    facts |= {"picture": picture.draw(story, sent) if sent else "", "clock": _clock}
    facts["day"] = time.strftime("%Y-%m-%d %H:%M", time.localtime(story["started"]))
    for kind in ("html", "md"):
        text = pages.get_template(f"report.{kind}").render(facts)
        (folder / f"rehearsal.{kind}").write_text(text, encoding="utf-8")
    print(f"\n{text}\n-> {folder / 'rehearsal.html'}")
    return int(story["caught"] < len(story["results"]) or bool(story["control"]))


def _requests(sent: list[Any]) -> dict[str, float]:
    kinds = [picture.kind(s.status) for s in sent]
    millis = [1000 * s.seconds for s in sent if s.status == 200]
    quantiles = {f"p{q}_ms": float(np.percentile(millis, q)) for q in (50, 99)}
    return {kind: kinds.count(kind) for kind in picture.COLOURS} | quantiles


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
