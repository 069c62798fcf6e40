"""Hold one repository against every rule."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from scaffold.checks import catalogue
from scaffold.checks.evidence import Evidence
from scaffold.checks.reading import Repo
from scaffold.checks.result import Checked, Finding
from scaffold.checks.rule import Subject
from scaffold.checks.signs import Signs

ORDER = {"error": 0, "warning": 1, "note": 2}


def check(folder: Path, select: Collection[str] = (), ignore: Collection[str] = ()) -> Checked:
    """Return score and findings; `select` and `ignore` choose findings and never move the score."""
    wanted = set(select or catalogue.rules()) - set(ignore)
    everything = inspected(folder)
    findings = [each for each in everything.findings if each.code in wanted]
    return replace(everything, findings=findings)


def inspected(folder: Path) -> Checked:
    """Hold the repository against every rule, and sort what is found: the worst first."""
    repo, items = Repo.at(folder), catalogue.items()
    words = " ".join(f"{item.words} {item.tested}" for all_ in items.values() for item in all_)
    subject = Subject(repo, Evidence(repo), Signs(repo, frozenset(words.split())))
    ours = subject.evidence.ours
    sections, findings = {}, list[Finding]()
    for guard in catalogue.guards():
        findings += guard.find(subject)
    for name, all_ in items.items():
        sections[name] = [item.judge(subject) for item in all_]
        pairs = zip(all_, sections[name], strict=True)
        findings += [item.open(judged, ours) for item, judged in pairs if judged.points < 1]
    findings.sort(key=lambda each: ORDER[each.level])
    notes = list(dict.fromkeys(repo.notes))
    if noise := subject.evidence.noise:
        notes.append(f"the rehearsal does not count, its control was not quiet: {noise}")
    if not repo.files:
        notes.append("the folder is empty")
    return Checked(repo.root, ours, sections, findings, notes)
