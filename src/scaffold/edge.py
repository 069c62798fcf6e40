"""What the commands share where they meet the user: errors as JSON, and whether one is there."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from scaffold.errors import Problem

Project = Annotated[
    Path, typer.Argument(help="The project, or a folder in it.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]


@contextmanager
def errors_as_json(wanted: bool) -> Iterator[None]:
    """Print a problem as JSON on its way out."""
    try:
        yield
    except Problem as problem:
        if wanted:
            print(json.dumps({"error": problem.as_dict(), "exit_code": problem.exit_code}))
        raise


def somebody_there(as_json: bool) -> bool:
    """Say whether questions would be seen and answered."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not as_json
