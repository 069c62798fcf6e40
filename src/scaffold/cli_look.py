"""`scaffold diff` and `scaffold status` at the edge: what was changed, and how projects stand."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold.edge import AsJson, Project, errors_as_json

if TYPE_CHECKING:
    from rich.console import RenderableType


def diff(
    project: Project = Path(),
    patch: Annotated[
        bool, typer.Option("--patch", help="Show the lines of what is ours, as a diff.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what was changed in a project against its version of the template."""
    with errors_as_json(as_json):
        from scaffold.compare import compare
        from scaffold.repository import Repository
        from scaffold.show import comparison_view

        found = compare(Repository.around(project), patch)
        print(found.as_json()) if as_json else _show(comparison_view(found))


def status(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Projects, or folders of projects; else this one.")
    ] = None,
    branches: Annotated[
        bool,
        typer.Option("--branches", help="Put the update of each that is behind on a branch."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say how many projects stand: version, newest version, what is not committed, rehearsal."""
    with errors_as_json(as_json):
        from scaffold.fleet import standings
        from scaffold.show import standings_view

        found = standings(folders or [Path()], branches)
        told = [{**asdict(each), "root": str(each.root), "behind": each.behind} for each in found]
        print(json.dumps(told, indent=2)) if as_json else _show(standings_view(found))
    raise typer.Exit(1 if any(each.problem for each in found) else 0)


def _show(view: "RenderableType") -> None:
    from rich.console import Console

    Console(soft_wrap=True).print(view)
