"""The command line: the only place that prints, asks and exits.

Heavy imports (Copier, Rich, Questionary) wait until a command needs them: `--help` is instant.
"""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import __version__
from scaffold.cli_adopt import adopt
from scaffold.cli_check import check
from scaffold.cli_look import diff, status
from scaffold.cli_update import update
from scaffold.edge import (
    AnswersFile,
    AsJson,
    AskNothing,
    Pairs,
    Preset,
    Ref,
    Source,
    consent,
    errors_as_json,
    print_problem,
)
from scaffold.errors import Problem

if TYPE_CHECKING:
    from scaffold.data import Data
    from scaffold.options import Given, Template
    from scaffold.report import Draft, Written

STOPPED = 130
LARGE_MB = 200

app = typer.Typer(
    rich_markup_mode=None,
    help="Emit a machine learning repository that has already been rehearsed in production.",
)


def main() -> None:
    """Run the command line and leave with a stable exit code: 0, 1, 2 or 130."""
    for ending in ("SIGTERM", "SIGHUP"):  # Whoever ends us: the temporary folder goes too.
        if hasattr(signal, ending):
            signal.signal(getattr(signal, ending), signal.default_int_handler)
    try:
        code = app(standalone_mode=False)  # Typer turns Ctrl-C into the code 130.
    except Problem as problem:
        _leave(f"scaffold: {problem}", problem.exit_code)
    except typer.TyperException as usage:
        what = " ".join(str(usage).split())
        if "--json" in sys.argv[1:]:
            print_problem(Problem("scaffold", what, "see scaffold --help"))
        _leave(f"scaffold: {what} See scaffold --help.", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    if code == STOPPED:
        _leave("Stopped: nothing was written.", STOPPED)
    sys.exit(code)


def _leave(line: str, code: int) -> None:
    print(line, file=sys.stderr)
    sys.exit(code)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"scaffold {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def scaffold(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Emit a machine learning repository that has already been rehearsed in production."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def new(
    dest: Annotated[Path, typer.Argument(help="The folder to create.", show_default=False)],
    defaults: AskNothing = False,
    data: Pairs = None,
    answers: AnswersFile = None,
    preset: Preset = None,
    from_data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Fit the project to this CSV, Parquet file or folder."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Its column that is to be predicted.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="When a row became known; else found.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="What tells rows apart, if any.")
    ] = None,
    template: Source = None,
    ref: Ref = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without a review.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask, plan, show, and then write a project with its first commit."""
    with errors_as_json(as_json):
        from scaffold.data import Data
        from scaffold.options import Given, Template

        rows = Data.chosen(from_data, target, time, key)
        if rows and (size := rows.megabytes()) > LARGE_MB:
            typer.echo(f"Reading {size:,.0f} MB: a minute or so for each gigabyte.", err=True)
        ask, review = consent(as_json, defaults or yes or answers is not None, yes)
        given = Given.read(data or [], answers, preset)
        given = given.with_data(rows) if rows else given
        chosen = Template.chosen(template, ref)
        done = _create(dest, chosen, given, rows, ask=ask, review=review)
        print(done.as_json()) if as_json else _show_written(done, dest)


@app.command()
def explain(
    what: Annotated[
        str, typer.Argument(metavar="FILE:LINE", help="E.g. ops/derived/rules.yml:84.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say, always as JSON, from which promise and by which formula a derived line comes."""
    with errors_as_json(as_json):
        from scaffold.emitted import explain as explained

        print(explained(Path.cwd(), what))


for command in (adopt, update, diff, status, check):
    app.command()(command)


def _create(
    dest: Path, template: "Template", given: "Given", data: "Data | None", ask: bool, review: bool
) -> "Written":
    """Render beside the destination, get the consent that is needed, and move it there."""
    from scaffold import project
    from scaffold.cli_review import feasible, reviewed
    from scaffold.generate import draft
    from scaffold.report import Written

    project.require_git()
    destination = project.checked_destination(dest)
    with project.workspace(destination) as folder:

        def render(before: "Draft | None" = None, again: str = "") -> "Draft":
            number = len(list(folder.iterdir()))
            root = folder / str(number) / destination.name
            root.parent.mkdir()
            return draft(template, root, given, ask=ask, before=before, again=again, data=data)

        agreed = reviewed(render(), render, "scaffold new") if review else feasible(render())
        files = agreed.files()
        commit, neutral = project.first_commit(agreed.root)
        project.publish(agreed.root, destination)
    note = "git knows no identity of yours: the first commit is by scaffold@localhost"
    notes = [*agreed.notes, note] if neutral else agreed.notes
    return Written(destination, commit, files, agreed.answers, agreed.plan, notes, agreed.proposal)


def _show_written(written: "Written", folder: Path) -> None:
    from rich.console import Console

    from scaffold.show import written_view

    Console(soft_wrap=True).print(written_view(written, str(folder)))
