"""What a person sees of a result: Rich renderables, which the edge prints."""

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from scaffold.report import Draft, Plan, Written, folders

SHOWN = 40  # columns


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
