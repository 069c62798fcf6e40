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
    sent, results = story.pop("sent"), story["results"]
    results.sort(key=lambda result: result.get("start", 0))
    story["caught"] = sum(result["verdict"] == "caught" for result in results)
    if sent:
        kinds, millis = [picture.kind(s.status) for s in sent], [1000 * s.seconds for s in sent if s.status == 200]
        story["requests"] = {kind: kinds.count(kind) for kind in picture.COLOURS}
        story["requests"] |= {f"p{q}_ms": float(np.percentile(millis, q)) for q in (50, 99)}
    write_json(folder / "rehearsal.json", story)
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    pages = jinja2.Environment(loader=loader, autoescape=jinja2.select_autoescape(), lstrip_blocks=True)
    facts = story | {"slo": config.slo(), "dataset": config.contract().dataset, "clock": _clock}
    facts["picture"] = picture.draw(story, sent) if sent else ""
    for kind in ("html", "md"):
        text = pages.get_template(f"report.{kind}").render(facts)
        (folder / f"rehearsal.{kind}").write_text(text, encoding="utf-8")
    print(f"\n{text}\n-> {folder / 'rehearsal.html'}")
    return int(story["caught"] < len(results) or bool(story["control"]))


def _clock(at: float, form: str = "%H:%M:%S") -> str:
    return time.strftime(form, time.localtime(at))
