"""`scaffold update` at the edge: show what would happen, get consent, and say what was done."""

import gc
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold.edge import AsJson, Project, errors_as_json, somebody_there
from scaffold.errors import Problem, Refused

if TYPE_CHECKING:
    from scaffold.report import Check, Update
    from scaffold.repository import Repository
    from scaffold.update import Prepared

APPLY, LEAVE = "Apply it", "Leave, and change nothing"
SET_UP = "Merge the rest and set the conflicts up, beside my files"
MINE, THEIRS = "Keep mine", "Take the template's; mine stays in the history"


def update(
    project: Project = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")
    ] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Take back an update that is not committed.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Apply an update whose conflicts are resolved.")
    ] = False,
    ref: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Its tag, branch or commit; else newest.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Change an answer; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Apply without a review.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a project to a newer template: merge, show, and only then change its files."""
    with errors_as_json(as_json):
        from scaffold import pending
        from scaffold.repository import Repository

        alone = [name for name, on in (("--abort", abort), ("--finish", finish)) if on]
        if alone and (len(alone) > 1 or dry_run or ref or data):
            raise Problem(alone[0], "goes with no other option", "leave the others out")
        repository = Repository.around(project)
        may_ask = somebody_there(as_json)
        if not (may_ask or dry_run or yes or alone):
            way_out = "use --dry-run to look, or --yes to apply"
            raise Problem("no terminal", "nobody is there to answer", way_out)
        with pending.locked(repository):
            if abort:
                done = pending.abort(repository)
            elif finish:
                done = pending.finish(repository)
            else:
                ask = may_ask and not (dry_run or yes)
                done = _updated(repository, data or [], ref, ask, dry_run)
        done = _checked(done)
        print(done.as_json()) if as_json else _show(done)
    raise typer.Exit(done.exit_code)


def _updated(
    repository: "Repository", data: list[str], ref: str | None, ask: bool, dry_run: bool
) -> "Update":
    """Prepare the update, get the consent that is needed, and apply it."""
    gc.disable()  # Loading libraries leaves no garbage; to look for it takes a tenth of the time.
    from scaffold.options import Given
    from scaffold.update import prepare

    gc.enable()
    prepared = prepare(repository, Given.read(data, None), ref, ask=ask, only_look=dry_run)
    if ask and prepared.merge:
        _show(prepared.update)
        _consent(prepared)
    return prepared.update if dry_run else prepared.apply()


def _consent(prepared: "Prepared") -> None:
    """Ask what cannot be merged, and whether to go on; raise Refused if not."""
    import questionary

    merge = prepared.merge
    assert merge is not None
    go_on = SET_UP if merge.conflicts else APPLY
    for path in merge.asked:
        if questionary.select(f"{path}?", [MINE, THEIRS]).unsafe_ask() == THEIRS:
            merge.take_theirs(path)
    if questionary.select("What now?", [go_on, LEAVE]).unsafe_ask() == LEAVE:
        raise Refused("scaffold update", "you left", "nothing was changed")


def _checked(done: "Update") -> "Update":
    """Let the project check itself once its files are new."""

    if done.state != "applied":
        return done
    typer.echo("Applied and staged; the project checks itself ...", err=True)
    return replace(done, check=_stoppable(done.root))


def _stoppable(root: Path) -> "Check | None":
    from scaffold.emitted import check
    from scaffold.report import Check

    try:
        return check(root)
    except KeyboardInterrupt:
        return Check("make plan check", None)


def _show(found: "Update") -> None:
    from rich.console import Console

    from scaffold.show import update_view

    Console(soft_wrap=True).print(update_view(found))
