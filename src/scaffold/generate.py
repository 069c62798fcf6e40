"""What the template writes: a draft of a new project, or two versions of an old one."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaffold import engine
from scaffold.data import Data
from scaffold.emitted import plan, propose
from scaffold.engine import JUDGED, Engine
from scaffold.errors import Problem
from scaffold.options import Given, Template
from scaffold.project import ANSWERS_FILE, git
from scaffold.report import Draft


def draft(
    template: Template,
    folder: Path,
    given: Given,
    *,
    ask: bool,
    before: Draft | None = None,
    again: str = "",
    data: Data | None = None,
    suggested: Mapping[str, str] | None = None,
) -> Draft:
    """Render a project into a folder that does not exist yet, fit it to the data, and plan it.

    `ask` runs the whole interview. With `before` and `again`, the answers of an earlier draft are
    kept and only the question `again` is asked anew, and those that its answer brings up.
    `suggested` are better defaults than those of the interview.
    """
    if before is None:
        interview: dict[str, Any] = {"data": {**given.values, **JUDGED}, "defaults": not ask}
        suited = data.suggestions() if data else {}
        interview["user_defaults"] = {**(suggested or {}), **suited}
    else:
        interview = {"data": JUDGED, "user_defaults": before.answers, "defaults": True}
    with engine.fetched(template, folder, interview) as (worker, notes):
        questions = worker.template.questions_data
        given.check(questions)
        if before is None and given.preset:
            engine.suggest(worker, given.preset)
        if before is not None:
            worker.ask = [again, *(key for key in questions if key not in before.answers)]
        engine.render(worker, given)
    answers = engine.recorded(folder)
    if before is None:
        given.check_used(answers)
    proposal = propose(folder, template, data) if data else None
    return Draft(folder, answers, plan(folder, template), notes, proposal)


@dataclass(frozen=True)
class Versions:
    """One project as two versions of the template write it, and what else they say."""

    old: Path
    plain: Path  # The new version with the old answers: the same folder as old or new if it can.
    new: Path
    before: tuple[str, str]  # As git describes it, and as versions are compared.
    after: tuple[str, str]
    seeded: Callable[[Path], bool]
    checkout: Path  # The new version of the template itself.
    migrations: bool  # Whether one lies between the two.
    migrate: Callable[[str, Path], list[str]]
    notes: list[str] = field(default_factory=list)


@contextlib.contextmanager
def versions(
    template: Template,
    before: str,
    answers: Mapping[str, Any],
    given: Given,
    folder: Path,
    ask: bool,
) -> Iterator[Versions | None]:
    """Render the recorded version and the wanted one from one fetch; None: there is nothing new.

    `ask` asks the questions that have come since. The checkouts go when the context ends.
    """
    with engine.fetched(template, folder / "new", {"data": dict(JUDGED), "defaults": True}) as (
        new,
        notes,
    ):
        questions = new.template.questions_data
        given.check(questions)
        new.ask = [key for key in questions if key not in answers] if ask else []
        with _recorded_version(new, before, folder) as old:
            same = old.template.commit_hash == new.template.commit_hash
            if same and not given.values:
                yield None
                return
            engine.answer(new, {**answers, **given.values})
            engine.render(new, given)
            given.check_used(engine.recorded(folder / "new"))
            engine.answer(old, answers)
            engine.render(old, Given())
            plain = old.dst_path if same else new.dst_path
            if not same and (given.values or new.ask):
                plain = folder / "plain"
                with engine.sibling(new, new.template.local_abspath, plain) as third:
                    engine.answer(third, answers)
                    engine.render(third, Given())
            yield Versions(
                old.dst_path,
                plain,
                new.dst_path,
                _called(old),
                _called(new),
                engine.seeded(new),
                new.template.local_abspath,
                bool(new.template.migration_tasks("before", old.template)),
                lambda stage, root: engine.migrate(new, old, stage, root),
                notes,
            )


@contextlib.contextmanager
def _recorded_version(new: Engine, before: str, folder: Path) -> Iterator[Engine]:
    """Lend a worker for the version that wrote the project, from the history of the new one."""
    fetched, checkout = new.template.local_abspath, folder / "template"
    where = f"{ANSWERS_FILE}: _commit"
    if new.template.commit is None:
        raise _no_history(str(new.src_path))
    try:
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{before}^{{commit}}")
        commit = git(fetched, *words).split()[-1]
    except Problem as problem:
        way_out = "bring that tag or commit back to the template, or record one that it has"
        raise Problem(where, f"{new.src_path} has no version {before}", way_out) from problem
    git(fetched, "worktree", "add", "--quiet", "--force", "--detach", str(checkout), commit)
    with engine.sibling(new, checkout, folder / "old") as old:
        recorded, wanted = engine.version(old), engine.version(new)
        if recorded and wanted and recorded > wanted:
            what = f"{before} is newer than {new.template.commit}"
            way_out = "name a newer version with --ref; to go back, revert the commit of the update"
            raise Problem(where, what, way_out)
        yield old


def _no_history(source: str) -> Problem:
    way_out = "record the address of its Git repository there, and the version that was used"
    return Problem(f"{ANSWERS_FILE}: _src_path", f"{source} has no history", way_out)


def _called(worker: Engine) -> tuple[str, str]:
    return str(worker.template.commit), str(worker.template.version or "")
