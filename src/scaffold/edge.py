"""What the commands share where they meet the user: options, errors as JSON, who is there."""

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
# Of the commands that ask the interview:
AskNothing = Annotated[
    bool, typer.Option("--defaults", help="Ask nothing: take the default answers.")
]
Pairs = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="KEY=VALUE", help="Give an answer; repeatable."),
]
AnswersFile = Annotated[
    Path | None, typer.Option("--answers", metavar="FILE", help="Give answers in a YAML file.")
]
Preset = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", help="Start from the answers of this preset."),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--template", metavar="PATH|URL", help="Use another template; its planner runs here."
    ),
]
Ref = Annotated[
    str | None, typer.Option("--ref", metavar="VERSION", help="Its tag, branch or commit.")
]


@contextmanager
def errors_as_json(wanted: bool) -> Iterator[None]:
    """Print a problem as JSON on its way out."""
    try:
        yield
    except Problem as problem:
        if wanted:
            print_problem(problem)
        raise


def print_problem(problem: Problem) -> None:
    """Print a problem as JSON."""
    print(json.dumps({"error": problem.as_dict(), "exit_code": problem.exit_code}))


def somebody_there(as_json: bool) -> bool:
    """Say whether questions would be seen and answered."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not as_json


def consent(as_json: bool, silent: bool, yes: bool) -> tuple[bool, bool]:
    """Say whether to ask the questions, and whether to show the draft before it is written.

    Raises Problem when there is something to ask and nobody to answer.
    """
    may_ask = somebody_there(as_json)
    if not may_ask and not silent:
        way_out = "use --defaults, --yes or --answers FILE"
        raise Problem("no terminal", "nobody is there to answer", way_out)
    return not silent, may_ask and not yes
