"""What a person sees of a check: the score, what holds it down, and what is broken."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scaffold.checks.result import Checked, Finding, Judged
from scaffold.checks.rule import NO_SIGN

SHOWN = 3  # places of each rule
MARKS = {0: ("○", "red"), 0.5: ("◐", "yellow"), 1: ("●", "green")}
LEVELS = {"error": "red", "warning": "yellow", "note": "cyan"}


def check_view(checked: Checked) -> RenderableType:
    """Show a result on one screen: counts in place of repetitions, and a way out for each rule."""
    head = Text.assemble((checked.root.name, "bold"), ": ", (f"{checked.score:g} of 7", "bold"))
    head.append(f", {checked.meaning}")
    parts: list[RenderableType] = [head, Text(), _sections(checked), Text()]
    parts.extend(_open(checked))
    parts.extend(_guards(checked))
    parts.extend(Text(f"Note: {note}", style="yellow") for note in checked.notes)
    return Group(*parts, _last(checked))


def _sections(checked: Checked) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for name, items in checked.sections.items():
        marks = Text(" ").join(Text(*MARKS[item.points]) for item in items)
        weakest = "the score" if name in checked.weakest else ""
        points = f"{checked.points(name):g}"
        table.add_row(name.capitalize(), marks, points, Text(weakest, style="dim"))
    return table


def _open(checked: Checked) -> list[RenderableType]:
    """Show the weakest section's open items with their ways out, and of the others the codes."""
    by_code = {finding.code: finding for finding in checked.findings}
    shown = set[str]()
    parts: list[RenderableType] = []
    for name in checked.weakest[:1]:
        waiting = [item for item in checked.sections[name] if item.code in by_code]
        if waiting:
            parts.append(Text(f"What holds the score down ({name})", style="bold"))
            parts.append(_items(waiting, by_code))
            shown |= {item.code for item in waiting}
    rest = [i for all_ in checked.sections.values() for i in all_ if i.code in by_code]
    if others := [item for item in rest if item.code not in shown]:
        parts += [Text("Open elsewhere", style="bold"), _codes(others)]
    return parts


def _codes(items: list[Judged]) -> Padding:
    """Show nothing but the codes, those that lack all apart from those that lack half."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for points in (0, 0.5):
        if codes := [item.code for item in items if item.points == points]:
            table.add_row(Text(*MARKS[points]), " ".join(codes))
    return Padding(table, (0, 0, 1, 2))


def _items(waiting: list[Judged], by_code: dict[str, Finding]) -> Padding:
    """Show items, and one way out under those that share it."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for _ in ("mark", "code", "what"):
        table.add_column(overflow="fold")  # A long path stays whole.
    groups: dict[str, list[Judged]] = {}
    for item in waiting:
        groups.setdefault(by_code[item.code].way_out, []).append(item)
    for way_out, items in groups.items():
        for item in items:
            finding = by_code[item.code]
            place = f" ({finding.where})" if finding.line else ""
            said = Text(item.title)
            if item.what != NO_SIGN:
                said.append(f": {item.what}{place}", style="dim")
            table.add_row(Text(*MARKS[item.points]), item.code, said)
        table.add_row("", "", Text(f"-> {way_out}"))
    return Padding(table, (0, 0, 1, 2))


def _guards(checked: Checked) -> list[RenderableType]:
    """Show each rule of ours once, with its first places."""
    scored = {item.code for items in checked.sections.values() for item in items}
    grouped: dict[str, list[Finding]] = {}
    for finding in checked.findings:
        if finding.code not in scored:
            grouped.setdefault(finding.code, []).append(finding)
    parts: list[RenderableType] = []
    for code, found in grouped.items():
        count = f" ({len(found)})" if found[1:] else ""
        style = LEVELS[found[0].level]
        parts.append(
            Text.assemble((f"{found[0].level} {code}", style), f" {found[0].title}{count}")
        )
        lines = [f"{each.where}: {each.what}" for each in found[:SHOWN]]
        if more := len(found) - SHOWN:
            lines += [f"... and {more} more"] if more > 0 else []
        lines.append(f"-> {found[0].way_out}")
        parts.append(Padding(Text("\n".join(lines)), (0, 0, 1, 2)))
    return parts


def _last(checked: Checked) -> Text:
    """Say in one line how much was found, and where more is said."""
    counts = [(len(checked.of_level(level)), level) for level in ("error", "warning")]
    said = [f"{count} {level}{'s' * (count != 1)}" for count, level in counts]
    below = checked.score < checked.min_score
    floor = f"; the score is below --min-score {checked.min_score:g}" if below else ""
    return Text(f"{', '.join(said)}{floor}. More: scaffold check --explain CODE, or --json")
