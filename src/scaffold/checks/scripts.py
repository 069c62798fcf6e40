"""What a script calls of its own repository. What cannot be decided is left out."""

import re
from collections.abc import Iterator

from scaffold.checks.reading import Repo, within
from scaffold.checks.signs import called

START = r"(?:^|[\s;&|(])"
OPTIONS = r"(?:-[a-zA-Z]+[ \t]+)*"
SCRIPT = re.compile(rf"{START}(?:python3?|bash|sh|Rscript)[ \t]+{OPTIONS}([\w./-]+\.(?:py|sh|R))\b")
DIRECT = re.compile(r"(?:^|[;&|]\s*|\n\s*)(\./[\w./-]+)(?=[\s;&|]|$)")
MODULE = re.compile(rf"{START}python3?[ \t]+{OPTIONS}-m[ \t]+([A-Za-z_][\w.]*)")
REQUIREMENTS = re.compile(r"pip3? install[^\n;&|]*-r[ \t]+([\w./-]+)")
MOVES = re.compile(r"(?:^|[\s;&|(])(?:cd|pushd)\s")
# A Makefile that holds these makes verbs that do not stand in it.
OPEN_ENDED = re.compile(
    r"(?m)^(-?include\s|[^\t#\n]*%[^\n=]*:|\$[({][^\n]*:|[^\t#=\n]*\$[({][^\n=]*:)"
)


def missing(repo: Repo, script: str, folder: str = "") -> Iterator[str]:
    """Return each file, module and verb that a script names and the repository lacks."""
    if MOVES.search(script):
        return
    named = (each for kind in (SCRIPT, DIRECT, REQUIREMENTS) for each in kind.findall(script))
    for path in dict.fromkeys(named):
        place = within(folder, path)
        made = re.search(
            rf"(>|\b(curl|wget|tee|cp|mv|clone)\b|\[ -[ef] )[^\n]*{re.escape(path)}", script
        )
        if not (path.startswith("/") or place.startswith("..") or made or repo.has(place)):
            yield path
    if re.search(r"\bdvc repro\b", script) and not repo.matching(r"(^|/)dvc\.yaml$"):
        yield "dvc.yaml"
    yield from (name for name in MODULE.findall(script) if _lacks_module(repo, name, folder))


def missing_verbs(repo: Repo, script: str, folder: str = "") -> Iterator[str]:
    """Return each verb that a script asks of a Makefile that does not have it."""
    makefile = within(folder, "Makefile")
    text = repo.text(makefile)
    if MOVES.search(script) or OPEN_ENDED.search(text):
        return
    targets = " ".join(re.findall(r"(?m)^([^\t#=\n:]+):(?!=)", text)).split()
    for verb in dict.fromkeys(called(script)):
        if text and verb not in targets:
            yield verb


def _lacks_module(repo: Repo, name: str, folder: str) -> bool:
    """Say whether a package that is here lacks this module: other packages may be installed."""
    first, *rest = name.split(".")
    for start in (folder, within(folder, "src"), "", "src"):
        top = within(start, first)
        code = (path for path in repo.files if path.startswith(f"{top}/") and path.endswith(".py"))
        if rest and any(code):
            place = "/".join([top, *rest])
            return not any(repo.has(place + end) for end in (".py", "/__main__.py"))
    return False
