"""What a person sees of a result: Rich renderables, which the edge prints."""

from shlex import quote
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from scaffold.report import (
    EDITS,
    KINDS,
    Adopted,
    Change,
    Comparison,
    Draft,
    Plan,
    Standing,
    Update,
    Written,
    folders,
)

SHOWN = 40  # columns
STYLES = {"conflict": "red", "asked": "yellow", "seeded": "dim", "yours": "dim"}
JOINED = {  # In small letters: some file systems know no others.
    "makefile": "its verbs run everything",
    "pyproject.toml": "how the package is built, tested and linted",
    ".gitignore": "data, models and reports stay out of git",
    ".pre-commit-config.yaml": "what `make lint` runs",
    "params.yaml": "the planner knows its own keys only",
    "dvc.yaml": "the stages from rows to a release",
    "readme.md": "may stay yours",
}


def draft_view(draft: Draft) -> RenderableType:
    """Show everything that is decided by writing: the files, the plan, what is in the way."""
    parts: list[RenderableType] = [Text(), _tree(draft)]
    if draft.proposal:
        parts.extend(_proposal(draft.proposal))
    if draft.plan.rows():
        parts.append(_plan(draft.plan))
    if draft.plan.problems:
        parts.append(_problems(draft.plan))
    parts.extend(Text(f"Note: {note}", style="yellow") for note in draft.notes)
    return Group(*parts)


def _proposal(found: dict[str, Any]) -> list[RenderableType]:
    """Show what the rows are taken for, column by column, and what is left out and why."""
    classes = f" of {', '.join(found['classes'][:8])}" if found["classes"] else ""
    unlabelled = ", some without an answer" if found["unlabelled"] else ""
    facts = {
        "Task": f"{found['task']}: {found['target']}{classes}",
        "Rows": f"{found['rows']:,}{unlabelled}",
        "Time": found["time"] or "none: the split is by chance",
        "Split": f"train until {found['split']['train_until']}, "
        f"judge until {found['split']['evaluate_until']}, the rest is live",
        "Id": found["id"] or "none: rows are numbered",
    }
    if not found["time"]:
        facts["Split"] = "three fifths train, one fifth judges, one fifth is live"
    table = Table(
        "Column", "Type", "Values", "May be missing", title="The data", title_justify="left"
    )
    for name, rules in list(found["columns"].items())[:SHOWN]:
        missing = f"{rules['nulls']:.0%}" if rules.get("nulls") else ""
        table.add_row(escape(name), rules["type"], escape(_values(rules)), missing)
    head = Table(show_header=False, box=None)
    for fact, value in facts.items():
        head.add_row(f"[bold]{fact}[/]", escape(value))
    parts: list[RenderableType] = [head, table]
    if (more := len(found["columns"]) - SHOWN) > 0:
        parts.append(Text(f"... and {more} more columns", style="dim"))
    left_out = [f"Left out: {name}: {why}" for name, why in found["not_features"].items()]
    parts.extend(Text(line, style="cyan") for line in left_out)
    parts.extend(Text(f"Note: {note}", style="yellow") for note in found["notes"])
    return parts


def _values(rules: dict[str, Any]) -> str:
    """Say which values a column may have."""
    if "levels" in rules:
        return ", ".join(rules["levels"])
    if "min" in rules:
        return f"{rules['min']:g} to {rules['max']:g} {rules.get('unit', '')}".rstrip()
    return f"at most {rules['max_length']} characters" if "max_length" in rules else "any"


def written_view(written: Written, folder: str) -> RenderableType:
    """Show what was written and what to type next."""
    count, commit = len(written.files), written.commit[:7]
    # Rows that nobody has read yet have no contract.
    read = written.proposal or written.answers.get("source") == "sample"
    verbs = "setup rehearse" if read else "setup contract"
    done = f"[green]Wrote[/] {count} files to [bold]{escape(folder)}[/], first commit {commit}."
    return Group(
        *(Text(f"Note: {note}", style="yellow") for note in written.notes),
        Text.from_markup(done),
        Text.from_markup(f"Next: [bold]make -C {escape(folder)} {verbs}[/]"),
    )


def adopted_view(done: Adopted) -> RenderableType:
    """Show what a branch adds, what of the user's is in the way of more, and what to type next."""
    parts = [Text(f"Note: {note}", style="yellow") for note in done.notes]
    head = f"[green]Made[/] the branch [bold]{done.branch}[/], commit {done.commit[:7]}: it adds"
    parts.append(Text.from_markup(f"{head} {len(done.added)} files. Your files are as they were."))
    if done.kept:
        parts.append(Text(f"Yours, and kept: join them by hand ({len(done.kept)})", style="yellow"))
        parts.extend(Text(f"  {path}{_joined(path)}") for path in done.kept)
        parts.append(
            Text(f"Compare:  git diff {done.branch} {done.written} -- {quote(done.kept[0])}")
        )
    parts.append(Text(f"Look:     git diff --stat HEAD {done.branch}"))
    parts.append(Text(f"Merge:    git merge {done.branch}"))
    parts.append(Text(f"Drop:     git branch -D {done.branch} {done.written}"))
    return Group(*parts)


def _joined(path: str) -> str:
    note = JOINED.get(path.casefold())
    return f": {note}" if note else ""


def update_view(found: Update) -> RenderableType:
    """Show file by file what an update does or did, and what to type next."""
    parts: list[RenderableType] = []
    if found.state not in ("current", "aborted"):
        parts.append(Text(f"{found.root.name}: {found.before} -> {found.after}", style="bold"))
    for kind, sentence in KINDS.items():
        if each := found.of_kind(kind):
            parts.append(Text(f"{sentence} ({len(each)})", style=STYLES.get(kind, "cyan")))
            parts.extend(Text(f"  {line}") for change in each for line in _lines(change, found))
    parts.extend(Text(f"Migration: {name}", style="yellow") for name in found.migrations)
    parts.extend(Text(f"Note: {note}", style="yellow") for note in found.notes)
    for version, body in found.news.items():
        parts.extend((Text(f"What is new in {version}", style="bold"), Text(body)))
    return Group(*parts, *(Text(line) for line in _next(found)))


def _lines(change: Change, found: Update) -> list[str]:
    note = f": {change.note}" if change.note else ""
    if change.kind == "renamed":
        return [f"{change.was} -> {change.path}{note and ', ' + change.note}"]
    place = f"{found.folder}/{change.path}" if found.folder else change.path
    return [f"{place}:{line}" for line in change.lines] or [change.path + note]


def _next(found: Update) -> list[str]:
    """Say in which state the project is, and what may be typed."""
    if found.state == "current":
        return [f"Nothing to do: {found.root.name} is at {found.after}."]
    if found.state == "aborted":
        return [f"Taken back: {found.root.name} is at {found.before}, as it was committed."]
    if found.state == "preview":
        return ["Nothing is changed yet."]
    if found.state == "conflicts":
        return [
            f"Nothing of yours was touched. Resolve the conflicts in {found.folder}, then",
            "scaffold update --finish, or take the update back: scaffold update --abort",
        ]
    check = found.check
    said = ["Look at it: git diff --cached. Commit it, or take it back: scaffold update --abort"]
    if check and check.passed is None:
        said.append(f"Then: {check.command}")
    elif check:
        said.append(f"{check.command}: {'passed' if check.passed else check.said + ' (failed)'}")
    return said


def comparison_view(found: Comparison) -> RenderableType:
    """Show which files are no longer as the template wrote them; or the lines, if asked for."""
    if found.patch:
        return Text(found.patch.rstrip("\n"))
    parts = [Text(f"{found.root.name} beside {found.version} of its template", style="bold")]
    for kind, sentence in EDITS.items():
        if paths := [edit.path for edit in found.edits if edit.kind == kind]:
            parts.append(Text(f"{sentence} ({len(paths)})", style=STYLES.get(kind, "cyan")))
            parts.extend(Text(f"  {path}") for path in paths)
    return Group(*parts)


def standings_view(found: list[Standing]) -> RenderableType:
    """Show a line for each project."""
    table = Table("Project", "Version", "Newest", "Not committed", "Rehearsed", box=None)
    for each in found:
        newest = Text(each.newest, style="yellow" if each.behind else "green")
        uncommitted = str(each.uncommitted or "")
        table.add_row(escape(str(each.root)), each.version, newest, uncommitted, each.rehearsed)
    problems = (Text(f"{each.root}: {each.problem}", "red") for each in found if each.problem)
    branches = (Text(f"{each.root}: git switch {each.branch}") for each in found if each.branch)
    return Group(table, *branches, *problems)


def _tree(draft: Draft) -> Tree:
    """Show one line per folder: 90 files would not fit on a screen."""
    files = draft.files()
    name = escape(str(draft.answers.get("project_name", draft.root.name)))
    tree = Tree(f"[bold]{name}[/] [dim]({len(files)} files)[/]")
    for folder, names in folders(files).items():
        place = f"[cyan]{escape(folder)}/[/] " if folder else ""
        tree.add(f"{place}[dim]{escape('  '.join(names))}[/]")
    return tree


def _plan(plan: Plan) -> Table:
    table = Table(title="The plan", title_justify="left", show_header=False, expand=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for subject, sentence in plan.rows():
        table.add_row(subject, escape(sentence))
    return table


def _problems(plan: Plan) -> Table:
    title = "These promises cannot be kept together" if not plan.feasible else "Take note"
    table = Table("Where", "What", "Way out", title=title, title_justify="left", style="red")
    for problem in plan.problems:
        table.add_row(escape(problem.where), escape(problem.what), escape(problem.way_out))
    return table
