"""Write docs/model-card.md and docs/data-sheet.md from what is promised and was measured; find stale ones."""

import hashlib
import json
from pathlib import Path
from typing import Any

from . import config, plan, remote, validate
from .stages import PROFILE, REPORT, read_json

YOURS, MEASURED = Path("docs/card.yaml"), {"report": REPORT, "valid": validate.REPORT, "profile": PROFILE}


class Yours(config.Strict, extra="allow"):
    """What only you know, by section."""


def card(check: bool = False) -> None:
    """Write both pages; `check` needs only what is in git: no data, no model, no report."""
    params, outs = config.params(), remote.outs()
    if check and not outs:  # nothing was trained yet
        return
    known: dict[str, Any] = {"contract": config.contract().model_dump(), "slo": config.slo().model_dump(), "outs": outs}
    known |= params.model_dump(include={"source", "seed", "split", "train"})
    known |= {"yours": config.load(YOURS, Yours).model_dump()}
    for name in ("model-card.md", "data-sheet.md"):
        path, template = Path("docs", name), (plan.PAGES / name).read_text(encoding="utf-8")
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        measured = {} if check else {part: read_json(report) for part, report in MEASURED.items()}
        body = old.rpartition("<!-- ")[0] if check else plan.page(name, known | measured)
        seen = json.dumps([known, template, body], sort_keys=True, default=str)
        text = f"{body}<!-- made by `make card` from {hashlib.sha256(seen.encode()).hexdigest()[:16]} -->\n"
        if check and text != old:
            raise config.Problem(f"{path}: stale, or edited by hand; `make card`; what you know belongs into {YOURS}")
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"card: {path}: {text.count('_missing:') + text.count('| missing |')} places wait for {YOURS}")
