"""Markdown, as pages need it."""

from collections.abc import Iterator
from typing import Any

Pages = Iterator[tuple[str, str]]  # Where it is, and what it says.


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *(part for part in parts if part)]) + "\n"


def table(heads: str, rows: list[list[Any]]) -> str:
    """Return a table, or nothing if it has no rows."""
    cells = [heads.split(), ["---"] * len(heads.split()), *rows]
    lines = ["| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in cells]
    return "\n".join(lines) if rows else ""


def link(name: str, folder: str = "") -> str:
    return f"[{code(name)}]({folder}{name}.md)"


def code(value: Any) -> str:
    return "" if value in (None, "") else f"`{value}`"


def fenced(text: str) -> str:
    return f"```python\n{text}\n```"


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
