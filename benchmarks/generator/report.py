"""Say what was measured, in Markdown and in one picture."""

from typing import Any

WIDTH, LEFT, ROW = 760, 210, 26  # of the picture, in pixels
STYLE = "text{font:13px system-ui,sans-serif;fill:#1f2430}.n{fill:#555d6b}"

TOLD = """\
`make bench` wrote this: medians of {runs} runs in seconds, wall clock and CPU, on {machine} (in
brackets the fastest and the slowest). Each command is a process of its own, in turns, on one
template in a local Git repository, which makes a project of {template[files]} files.

![Seconds of each command](results.svg)

{new}

`scaffold new` also runs the planner of the emitted repo and makes its first commit. Cookiecutter
and cruft get what Copier has rendered, with the project's name put back into {template[rendered]}
files, and {template[copied]} copied as they are because they hold braces: no question, no choice of
files, no validator. So theirs is the easier work.

{update}

The two versions differ in {of[changed]} files, and the project's owner has edited {of[edited]}. It
ends with the merged files in place. Cookiecutter has no update.

"Patched" is Copier with the two small [patches](upstream/) that we offer to it: a string is
compiled once, and a version of the template is cloned once.

`scaffold check` takes {check[wall]} s on a repository of {check[files]:,} files.
"""


def text(found: dict[str, Any]) -> str:
    """Return the page of what was found."""
    tables = {"new": table(found["new"], "copier copy")}
    tables |= {"update": table(found["update"], "copier update"), "of": found["update of"]}
    return TOLD.format(**{**found, **tables})


def table(found: dict[str, Any], base: str) -> str:
    """Return the rows, each beside the one that they are compared with."""
    lines = [
        f"| | wall, s | times {base} | CPU, s | times {base} |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, each in found.items():
        cells = [f"`{name}`"]
        for kind in ("wall", "cpu"):
            took, ratio = each[kind], each[kind]["median"] / found[base][kind]["median"]
            cells += [
                f"{took['median']:.2f} ({took['best']:.2f} to {took['worst']:.2f})",
                f"{ratio:.2f}",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(found: dict[str, Any]) -> str:
    """Return bars of the medians as SVG: what is ours in colour."""
    rows = [
        (name, each["wall"]["median"])
        for kind in ("new", "update")
        for name, each in found[kind].items()
    ]
    height, most = ROW * len(rows) + 16, max(seconds for _, seconds in rows)
    bars = []
    for number, (name, seconds) in enumerate(rows):
        y, width, thick = 8 + ROW * number, (WIDTH - LEFT - 70) * seconds / most, ROW - 8
        colour = "#3949ab" if name.startswith("scaffold") else "#b0b7c6"
        bars += [
            f'<text x="{LEFT - 10}" y="{y + 16}" text-anchor="end">{name}</text>',
            f'<rect x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="{thick}" fill="{colour}"/>',
            f'<text class="n" x="{LEFT + width + 8:.1f}" y="{y + 16}">{seconds:.2f} s</text>',
        ]
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    back = f'<style>{STYLE}</style>\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', back, *bars, "</svg>\n"])
