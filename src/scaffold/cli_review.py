"""The review: a draft is shown, and its answers are changed, until it is written or left."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from scaffold.errors import Infeasible, Problem, Refused
from scaffold.report import Draft

if TYPE_CHECKING:
    from questionary import Choice

Render = Callable[[Draft, str], Draft]
WRITE, CHANGE, LEAVE = "Write it", "Change an answer", "Leave, and write nothing"


def feasible(made: Draft) -> Draft:
    """Return the draft, or refuse it for the promises that cannot be kept."""
    if not made.plan.feasible:
        reasons = [(each.where, each.what, each.way_out) for each in made.plan.problems]
        raise Infeasible(reasons, asdict(made.plan))
    return made


def reviewed(made: Draft, render: Render, command: str) -> Draft:
    """Show the draft and go back to answers until the user writes it or leaves."""
    import questionary
    from rich.console import Console

    from scaffold.show import draft_view

    while True:
        Console().print(draft_view(made))
        choices = [WRITE, CHANGE, LEAVE] if made.plan.feasible else [CHANGE, LEAVE]
        choice = questionary.select("What now?", choices).unsafe_ask()
        if choice == LEAVE:
            raise Refused(command, "you left", "nothing was written")
        if choice == WRITE:
            return made
        if key := questionary.select("Which answer?", _answers(made)).unsafe_ask():
            made = _changed(made, key, render)


def _answers(made: Draft) -> "list[Choice]":
    from questionary import Choice

    settled = {"source", "files_path"} if made.proposal else set()  # The rows are where they are.
    open_ones = {key: value for key, value in made.answers.items() if key not in settled}
    width = max(map(len, open_ones))
    known = [Choice(f"{key:{width}}  {value}", key) for key, value in open_ones.items()]
    return [*known, Choice("Back", "")]


def _changed(made: Draft, key: str, render: Render) -> Draft:
    """Ask one question anew; an answer that clashes with another leaves the draft as it was."""
    try:
        return render(made, key)
    except Problem as problem:
        return replace(made, notes=[f"not changed: {problem}"])
