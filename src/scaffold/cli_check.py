"""`scaffold check` at the edge: choose a format, print it, and leave with a code for CI."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold.edge import errors_as_json
from scaffold.errors import Problem

if TYPE_CHECKING:
    from scaffold.checks.result import Checked

WIDTH = 100  # Where no terminal says how wide it is.


class Format(StrEnum):
    """How the result is written."""

    text = "text"
    json = "json"
    sarif = "sarif"
    badge = "badge"


def check(
    repo: Annotated[
        Path, typer.Argument(help="The root of a repository, ours or not.", show_default=False)
    ] = Path(),
    form: Annotated[
        Format, typer.Option("--format", help="Print text, JSON, SARIF, or a Markdown badge.")
    ] = Format.text,
    min_score: Annotated[
        float, typer.Option(metavar="0..7", help="Leave with 1 below this score.")
    ] = 0.0,
    select: Annotated[
        list[str] | None, typer.Option(metavar="CODES", help="Only these, e.g. SC or DATA2,SC009.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="CODES", help="Not these; the score stays.")
    ] = None,
    explain: Annotated[
        str | None, typer.Option(metavar="CODE|all", help="Say what a rule looks for, and why.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Say how far a repository is from production, and what is broken in it. Runs nothing of it."""
    with errors_as_json(as_json or form == Format.json):
        from scaffold.checks import catalogue
        from scaffold.checks.run import check as checked

        if explain:
            print(catalogue.explained(explain), end="")
            return
        if not 0 <= min_score <= 7:
            raise Problem(f"--min-score {min_score:g}", "no score is that", "give one from 0 to 7")
        chosen = catalogue.chosen(select or [], "--select")
        found = checked(repo, chosen, catalogue.chosen(ignore or [], "--ignore"))
        found = replace(found, min_score=min_score)
        _print(found, Format.json if as_json else form)
    raise typer.Exit(found.exit_code)


def _print(found: "Checked", form: Format) -> None:
    if form == Format.text:
        _show(found)
    elif form == Format.json:
        print(found.as_json())
    else:
        from scaffold.checks import sarif

        print(sarif.sarif(found) if form == Format.sarif else sarif.badge(found))


def _show(found: "Checked") -> None:
    from rich.console import Console

    from scaffold.checks.view import check_view

    console = Console()
    Console(width=None if console.is_terminal else WIDTH).print(check_view(found))
