"""The command line: the only place that prints, asks and exits.

Heavy imports (Copier, Rich, Questionary) wait until a command needs them: `--help` is instant.
"""

import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import __version__
from scaffold.cli_check import check
from scaffold.cli_look import diff, status
from scaffold.cli_update import update
from scaffold.edge import AsJson, errors_as_json, somebody_there
from scaffold.errors import Infeasible, Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from questionary import Choice

    from scaffold.data import Data
    from scaffold.options import Given, Template
    from scaffold.report import Draft, Written

STOPPED = 130
LARGE_MB = 200
WRITE, CHANGE, LEAVE = "Write it", "Change an answer", "Leave, and write nothing"

app = typer.Typer(
    rich_markup_mode="rich",
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
        _leave(f"scaffold: {' '.join(str(usage).split())} See scaffold --help.", 2)
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
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Ask nothing: take the default answers.")
    ] = False,
    data: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Give an answer; repeatable.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Give answers in a YAML file.")
    ] = None,
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
    template: Annotated[
        str | None,
        typer.Option(metavar="PATH|URL", help="Use another template; its planner runs here."),
    ] = None,
    ref: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Its tag, branch or commit.")
    ] = None,
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
        silent = defaults or yes or answers is not None
        may_ask = somebody_there(as_json)
        if not may_ask and not silent:
            way_out = "use --defaults, --yes or --answers FILE"
            raise Problem("no terminal", "nobody is there to answer", way_out)
        given = Given.read(data or [], answers)
        given = given.with_data(rows) if rows else given
        chosen = Template.chosen(template, ref)
        done = _create(dest, chosen, given, rows, ask=not silent, review=may_ask and not yes)
        print(done.as_json()) if as_json else _show_written(done, dest)


@app.command()
def explain(
    what: Annotated[
        str, typer.Argument(metavar="FILE:LINE", help="E.g. ops/derived/rules.yml:84.")
    ],
) -> None:
    """Say, as JSON, from which promise and by which formula a derived line comes."""
    from scaffold.emitted import explain as explained

    print(explained(Path.cwd(), what))


for command in (update, diff, status, check):
    app.command()(command)


def _create(
    dest: Path, template: "Template", given: "Given", data: "Data | None", ask: bool, review: bool
) -> "Written":
    """Render beside the destination, get the consent that is needed, and move it there."""
    from scaffold import project
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

        agreed = _reviewed(render(), render) if review else _feasible(render())
        files = agreed.files()
        commit, neutral = project.first_commit(agreed.root)
        project.publish(agreed.root, destination)
    note = "git knows no identity of yours: the first commit is by scaffold@localhost"
    notes = [*agreed.notes, note] if neutral else agreed.notes
    return Written(destination, commit, files, agreed.answers, agreed.plan, notes, agreed.proposal)


def _feasible(made: "Draft") -> "Draft":
    """Return the draft, or refuse it for the promises that cannot be kept."""
    if not made.plan.feasible:
        reasons = [(each.where, each.what, each.way_out) for each in made.plan.problems]
        raise Infeasible(reasons, asdict(made.plan))
    return made


def _reviewed(made: "Draft", render: "Callable[[Draft, str], Draft]") -> "Draft":
    """Show the draft and go back to answers until the user writes it or leaves."""
    import questionary
    from rich.console import Console

    from scaffold.show import draft_view

    while True:
        Console().print(draft_view(made))
        choices = [WRITE, CHANGE, LEAVE] if made.plan.feasible else [CHANGE, LEAVE]
        choice = questionary.select("What now?", choices).unsafe_ask()
        if choice == LEAVE:
            raise Refused("scaffold new", "you left", "nothing was written")
        if choice == WRITE:
            return made
        if key := questionary.select("Which answer?", _answers(made)).unsafe_ask():
            made = _changed(made, key, render)


def _answers(made: "Draft") -> "list[Choice]":
    from questionary import Choice

    settled = {"source", "files_path"} if made.proposal else set()  # The rows are where they are.
    open_ones = {key: value for key, value in made.answers.items() if key not in settled}
    width = max(map(len, open_ones))
    known = [Choice(f"{key:{width}}  {value}", key) for key, value in open_ones.items()]
    return [*known, Choice("Back", "")]


def _changed(made: "Draft", key: str, render: "Callable[[Draft, str], Draft]") -> "Draft":
    """Ask one question anew; an answer that clashes with another leaves the draft as it was."""
    try:
        return render(made, key)
    except Problem as problem:
        return replace(made, notes=[f"not changed: {problem}"])


def _show_written(written: "Written", folder: Path) -> None:
    from rich.console import Console

    from scaffold.show import written_view

    Console(soft_wrap=True).print(written_view(written, str(folder)))
