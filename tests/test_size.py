"""The emitted repo stays small enough to read."""

import ast
import io
import tokenize
from collections.abc import Callable
from pathlib import Path

from conftest import contents

NO_CODE = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
YOURS = ("ingest.py", "features.py", "train.py")


def lines_of_code(text: str) -> int:
    """Count lines as cloc does: neither blank, nor comment, nor docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spans = [(t.start[0], t.end[0]) for t in tokens if tokenize.tok_name[t.type] not in NO_CODE]
    lines = {line for start, end in spans for line in range(start, end + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def test_the_emitted_repo_is_small(render: Callable[..., Path]) -> None:
    """Tests and rehearsal included; and what is yours to edit is little."""
    files = contents(render())
    counts = {n: lines_of_code(body.decode()) for n, body in files.items() if n.endswith(".py")}
    assert len(files) <= 120
    assert sum(counts.values()) <= 5000
    yours = [name for name in counts if name.removeprefix("src/late_flights/") in YOURS]
    promises = [files[f"{name}.yaml"].count(b"\n") for name in ("contract", "slo", "params")]
    assert sum(counts[name] for name in yours) + sum(promises) <= 600


def test_what_counts_as_a_line() -> None:
    text = '"""Docstring."""\n\n# comment\nx = (\n    1\n)\n\ndef f():\n    """Two\n    lines."""\n'
    assert lines_of_code(text) == 4
