"""Say what was measured, in Markdown."""

from typing import Any

TOLD = """\
`make bench` wrote this: medians of {runs} runs in seconds, wall clock and CPU, on {machine} (in
brackets the fastest and the slowest). Each command is a process of its own, in turns, on one
template in a local Git repository, which makes a project of {template[files]} files.

{new}

`scaffold new` also runs the planner of the emitted repo and makes its first commit. Cookiecutter
and cruft get what Copier has rendered, with the project's name put back into {template[rendered]}
files, and {template[copied]} copied as they are because they hold braces: no question, no choice of
files, no validator. So theirs is the easier work.

{update}

The two versions differ in {of[changed]} files, and the project's owner has edited {of[edited]}. It
ends with the merged files in place. Cookiecutter has no update.

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
