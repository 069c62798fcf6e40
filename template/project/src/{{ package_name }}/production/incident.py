"""Draft docs/incident.md from the ledger: what happened, what it cost, and what may have been the cause."""

import time
from pathlib import Path

import jinja2

from . import config, releases

PATH, TEMPLATE = Path("docs/incident.md"), Path(__file__).with_name("incident.md")


def draft() -> None:
    """Put the newest rollback on top of docs/incident.md; what stands there already stays."""
    back, old = releases.last("rolled back") or {}, PATH.read_text(encoding="utf-8") if PATH.exists() else ""
    good, bad = (releases.manifest(releases.source(back[name])) for name in ("release", "bad"))
    one, other = (about["files"] | about["versions"] for about in (good, bad))
    facts = {
        "back": back,
        "events": [event for event in releases.ledger() if back["bad"] in (event.get("release"), event.get("bad"))],
        "differ": sorted(name for name in one | other if one.get(name) != other.get(name)),
        "owners": config.slo().owners,
        "clock": lambda at: time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at)),
    }
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    text = env.from_string(TEMPLATE.read_text(encoding="utf-8")).render(facts)
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(f"{text}\n\n{old}".strip() + "\n", encoding="utf-8")
