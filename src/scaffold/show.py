"""What a person sees of a result: Rich renderables, which the edge prints."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from scaffold.report import Draft, Plan, Written, folders


def draft_view(draft: Draft) -> RenderableType:
    """Show everything that is decided by writing: the files, the plan, what is in the way."""
    parts: list[RenderableType] = [Text(), _tree(draft)]
    if draft.plan.rows():
        parts.append(_plan(draft.plan))
    if draft.plan.problems:
        parts.append(_problems(draft.plan))
    parts.extend(Text(f"Note: {note}", style="yellow") for note in draft.notes)
    return Group(*parts)


def written_view(written: Written, folder: str) -> RenderableType:
    """Show what was written and what to type next."""
    count, commit = len(written.files), written.commit[:7]
    done = f"[green]Wrote[/] {count} files to [bold]{escape(folder)}[/], first commit {commit}."
    return Group(
        *(Text(f"Note: {note}", style="yellow") for note in written.notes),
        Text.from_markup(done),
        Text.from_markup(f"Next: [bold]make -C {escape(folder)} setup rehearse[/]"),
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
