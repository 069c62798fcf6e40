"""`scaffold adopt` at the edge: ask, plan, show, and propose a branch."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
)

if TYPE_CHECKING:
    from scaffold.options import Given, Template
    from scaffold.report import Adopted, Draft


def adopt(
    repo: Annotated[
        Path, typer.Argument(help="The root of a repository of yours.", show_default=False)
    ] = Path(),
    defaults: AskNothing = False,
    data: Pairs = None,
    answers: AnswersFile = None,
    preset: Preset = None,
    template: Source = None,
    ref: Ref = None,
    yes: Annotated[bool, typer.Option("--yes", help="Make the branch without a review.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a repository under the template: a branch adds what it lacks; what it has stays."""
    with errors_as_json(as_json):
        from scaffold.options import Given, Template

        ask, review = consent(as_json, defaults or yes or answers is not None, yes)
        given, chosen = Given.read(data or [], answers, preset), Template.chosen(template, ref)
        done = _proposed(repo, chosen, given, ask, review)
        print(done.as_json()) if as_json else _show(done)


def _proposed(
    repo: Path, template: "Template", given: "Given", ask: bool, review: bool
) -> "Adopted":
    """Render beside the repository, get the consent that is needed, and make the branch."""
    from scaffold.adopt import adoptable, propose, suggestions
    from scaffold.cli_review import feasible, reviewed
    from scaffold.generate import draft

    repository = adoptable(repo)
    head, suggested = repository.head(), suggestions(repository)
    with tempfile.TemporaryDirectory() as name:

        def render(before: "Draft | None" = None, again: str = "") -> "Draft":
            root = Path(name) / str(len(list(Path(name).iterdir()))) / repository.top.name
            root.parent.mkdir()
            return draft(
                template, root, given, ask=ask, before=before, again=again, suggested=suggested
            )

        agreed = reviewed(render(), render, "scaffold adopt") if review else feasible(render())
        return propose(repository, head, agreed, template)


def _show(done: "Adopted") -> None:
    from rich.console import Console

    from scaffold.show import adopted_view

    Console(soft_wrap=True).print(adopted_view(done))
