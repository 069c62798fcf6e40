"""Put the template into cookiecutter's form: what Copier renders, with the name put back.

It is easier work than ours: one set of answers is already chosen, so nothing is included, left out
or validated; and a file that holds braces of its own is copied as it is.
"""

import json
import shutil
from pathlib import Path

NAMES = {
    "late-flights": "{{cookiecutter.project_name}}",
    "late_flights": "{{cookiecutter.package_name}}",
}
BRACES = ("{{", "{%", "{#")


def convert(project: Path, template: Path) -> dict[str, int]:
    """Write the template of a rendered project; return how many files there are of each kind."""
    top = template / NAMES["late-flights"]
    counts = {"rendered": 0, "copied": 0}
    as_it_is = []
    for path in sorted(each for each in project.rglob("*") if each.is_file()):
        if path.parent.name == "__pycache__":
            continue
        name = path.relative_to(project).as_posix()
        place = top / named(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        braces = any(mark in text for mark in BRACES)
        place.write_text(text if braces else named(text), encoding="utf-8")
        shutil.copymode(path, place)
        counts["copied" if braces else "rendered"] += 1
        as_it_is += [named(name)] if braces else []
    answers = {"project_name": "late-flights", "_copy_without_render": as_it_is}
    answers |= {"package_name": "{{ cookiecutter.project_name.replace('-', '_') }}"}
    (template / "cookiecutter.json").write_text(json.dumps(answers, indent=1), encoding="utf-8")
    return counts


def named(text: str) -> str:
    """Put a tag wherever the default name stands."""
    for name, tag in NAMES.items():
        text = text.replace(name, tag)
    return text
