"""What goes wrong while a repository is kept up: edits, pins, versions, merges, old reports."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from scaffold.checks import alerts, wiring
from scaffold.checks.evidence import REHEARSAL, REPORTS
from scaffold.checks.reading import Repo
from scaffold.checks.result import Finding
from scaffold.checks.rule import Guard, Subject
from scaffold.errors import Problem
from scaffold.project import ANSWERS_FILE, git

SUMS = r"(^|/)derived/SHA256SUMS$"
ACTIONS = r"^\.github/(workflows/[^/]+|actions/.+/action)\.ya?ml$|^action\.ya?ml$"
USES = re.compile(r"^\s*(?:-\s*)?uses:\s*[\"']?([^\s\"'#]+)")
PINNED = re.compile(r"@([0-9a-f]{40}|sha256:[0-9a-f]{64})$")
YOURS = r"^(src/.+\.(py|yaml)|(slo|contract|params|dvc)\.yaml)$"
SETTINGS = r"^(slo|contract|params)\.yaml$"


class SC008(Guard):
    """A derived file was edited by hand.

    It no longer follows from the promises, and the next `make plan` undoes the edit without a word.
    Looked for: files whose digest is not the one in ops/derived/SHA256SUMS, which the planner
    writes.

    Way out: change what it is derived from, then run `make plan`.
    """

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        repo = subject.repo
        for sums in repo.matching(SUMS):
            for line in repo.text(sums).splitlines():
                digest, _, path = line.partition("  ")
                if not repo.has(path):
                    yield cls.finding(f"{path} is gone", sums)
                elif hashlib.sha256(repo.text(path).encode()).hexdigest() != digest:
                    yield cls.finding("is not what the planner wrote", path)


class SC009(Guard):
    """An action is not pinned to a commit.

    A tag can be moved by whoever owns the action, or their thief: your secrets then run other code.
    Looked for: `uses:` without 40 hexadecimal digits, and images without a digest.

    Way out: write the commit's full hash, and the version in a comment behind it.
    """

    level = "warning"

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        for path in subject.repo.matching(ACTIONS):
            for number, line in enumerate(subject.repo.text(path).splitlines(), 1):
                found = USES.match(line)
                if found and not found[1].startswith("./") and not PINNED.search(found[1]):
                    yield cls.finding(found[1], path, number)


class SC010(Guard):
    """The template has a newer version.

    What was mended there since is not mended here. Looked for: a newer tag in the template's
    repository, when .copier-answers.yml names a folder of this machine; nothing is fetched.

    Way out: run `scaffold update --dry-run`, then `scaffold update`.
    """

    level = "warning"

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        answers = subject.repo.document(ANSWERS_FILE)
        source, commit = Path(str(answers.get("_src_path", ""))), str(answers.get("_commit", ""))
        here = commit and source.is_absolute() and (source / ".git").exists()
        if here and (newest := _newer(source, commit)):
            line = subject.repo.line(ANSWERS_FILE, "_commit")
            yield cls.finding(f"this is {commit}, the newest is {newest}", ANSWERS_FILE, line)


class SC011(Guard):
    """A conflict was committed with its markers.

    A merge that nobody finished: the file holds both sides, and neither works. Looked for: a line
    that opens a conflict, and after it one that closes it.

    Way out: choose what stays, and take the markers out.
    """

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        for path, text in subject.repo.written():
            opened = (
                text.find("\n<" + "<" * 6 + " ") + 1 if not text.startswith("<" * 7 + " ") else 0
            )
            if (opened or text.startswith("<" * 7 + " ")) and "\n" + ">" * 7 in text[opened:]:
                yield cls.finding(
                    "holds both sides of a merge", path, text.count("\n", 0, opened) + 1
                )


class SC012(Guard):
    """A file cannot be read.

    What is no YAML or JSON says nothing to the tools that should read it. Looked for: workflows,
    pipelines, manifests, alert rules, promises and reports.

    Way out: correct it where the message says.
    """

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        repo = subject.repo
        for path in _structured(repo):
            if error := (found := repo.parsed(path)).error:
                yield cls.finding(error, path, found.line)


class SC013(Guard):
    """The rehearsal is older than what it rehearsed.

    What it said held for files that have changed since. Looked for: code, promises and pipeline
    that are newer than the start in reports/rehearsal.json.

    Way out: run `make rehearse`.
    """

    level = "note"

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        repo, started = subject.repo, subject.evidence.rehearsal.get("started")
        if isinstance(started, int | float):
            newer = [path for path in repo.matching(YOURS) if _modified(repo, path) > started]
            if newer:
                more = f" and {len(newer) - 1} more" if newer[1:] else ""
                yield cls.finding(f"{newer[0]}{more} changed since", REHEARSAL)


def _newer(source: Path, commit: str) -> str:
    """Return the newest tag of the template, empty if this project has it."""
    from packaging.version import InvalidVersion, Version

    def version(name: str) -> Version:
        try:
            return Version(re.sub(r"-\d+-g[0-9a-f]+$", "", name))
        except InvalidVersion:
            return Version("0")

    try:
        tags = git(source, "-c", "core.fsmonitor=false", "tag", "--list").split()
    except (Problem, OSError):
        return ""
    newest = max(tags, key=version, default="")
    return newest if newest and version(newest) > version(commit) > Version("0") else ""


def _structured(repo: Repo) -> list[str]:
    """Return every file that some rule takes apart."""
    patterns = (wiring.DVC, wiring.WORKFLOWS, wiring.KUSTOMIZE, wiring.COMPOSE, wiring.PROMETHEUS)
    found = [path for pattern in (*patterns, SETTINGS) for path in repo.matching(pattern)]
    reports = [path for path in REPORTS if repo.lies(path)]
    return sorted({*found, *alerts.rule_files(repo), *reports})


def _modified(repo: Repo, path: str) -> float:
    try:
        return (repo.root / path).stat().st_mtime
    except OSError:
        return 0.0
