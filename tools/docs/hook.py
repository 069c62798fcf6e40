"""The hook of MkDocs: adds the pages that are made, and lets the repository's links hold here."""

import os
import re
from pathlib import Path
from typing import Any

from changes import ROOT
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pages import pages

SHOWN = {  # Files outside docs/ that are pages, or pictures of them.
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "hooks/README.md": "migrations.md",
    "benchmarks/generator/results.md": "speed-of-the-generator.md",
    "benchmarks/generator/results.svg": "results.svg",
    "benchmarks/serving/results.md": "cost-of-the-service.md",
    "benchmarks/serving/results.png": "results.png",
    "benchmarks/drift/results.md": "drift-monitors.md",
}
HOMES = {  # What a fact's home is in the repository, and where the site shows it.
    "copier.yml": "questions/index.md",
    "docs/checks.md": "checks/index.md",
    "docs/decisions": "decisions/index.md",
    "template/project/Makefile.jinja": "stages/index.md",
}
LINK = re.compile(r"(!?\[[^]]*\])\(([^)#\s]*)(#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> None:
    """Put the pages of a folder into the navigation in place of its name."""
    entries: list[dict[str, Any]] = config.nav or []
    config.nav = [{name: _below(place) for name, place in entry.items()} for entry in entries]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that are made, and what lies outside docs/."""
    for uri, text in pages().items():
        files.append(File.generated(config, uri, content=text))
    for place, uri in SHOWN.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / place)))
    files.remove(files.src_uris["checks.md"])  # All that the pages of the rules say, in one.


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links between written documents hold here, too."""
    uri = page.file.src_uri
    places = {shown: place for place, shown in SHOWN.items()}
    return markdown if uri in pages() else relinked(markdown, places.get(uri, f"docs/{uri}"))


def relinked(text: str, place: str) -> str:
    """Turn links as they hold in the repository into links of the site; drop what it lacks."""
    here = Path(_uri(place) or "").parent

    def link(found: re.Match[str]) -> str:
        label, target, anchor = found[1], found[2], found[3] or ""
        if not target or ":" in target:
            return found[0]
        uri = _uri(os.path.normpath(Path(place).parent / target))
        return f"{label}({os.path.relpath(uri, here)}{anchor})" if uri else label[1:-1]

    return LINK.sub(link, text)


def _uri(place: str) -> str | None:
    """Return where the site has a file or folder of the repository."""
    inside = place.removeprefix("docs/") if place.startswith("docs/") else None
    return {**SHOWN, **HOMES}.get(place, inside)


def _below(place: Any) -> Any:
    if not isinstance(place, str) or not place.endswith("/"):
        return place
    written = sorted(path.name for path in (ROOT / "docs" / place).glob("*.md"))
    made = [uri for uri in pages() if uri.startswith(place)]
    return [*made, *(f"{place}{name}" for name in written)]
