"""What the files of any repository show: words of code, tests, and what its CI runs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from scaffold.checks.reading import Repo

CODE = re.compile(
    r"(\.(py|ipynb|r|scala|sh|sql|ya?ml|cfg|ini|tf)|(^|/)(makefile|dockerfile)[^/]*)$",
    re.IGNORECASE,
)
CI = (
    r"^(\.github/workflows/[^/]+\.ya?ml|\.gitlab-ci\.yml|\.circleci/config\.yml|\.travis\.yml"
    r"|(\.pipelines/|azure-pipelines)[^/]*\.ya?ml|bitbucket-pipelines\.yml|cloudbuild\.ya?ml"
    r"|Jenkinsfile)$"
)
TEST = re.compile(r"(^|/)(tests?|testing)/|(^|/)test_[^/]+$|_tests?\.\w+$")
RUNS_TESTS = re.compile(
    r"\b(pytest|tox|nox|unittest|promtool test|kedro test"
    r"|(just|task|inv|invoke|poe|hatch|(mise|pixi|pdm|poetry|uv|hatch) run)[ \t]+[\w:-]*tests?)\b"
)
LETTERS = (
    bytes(
        (each | 32 if 65 <= each <= 90 else each if chr(each).isalnum() or each == 95 else 32)
        for each in range(128)
    )
    + b" " * 128
)  # Capitals become small, and what is no part of a word parts words.


@dataclass(frozen=True)
class Place:
    """Where a word was first found."""

    path: str
    line: int
    word: str


@dataclass(frozen=True)
class Signs:
    """The words of interest, and in which files each is."""

    repo: Repo
    vocabulary: frozenset[str]

    @cached_property
    def index(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        wanted = {word.encode() for word in self.vocabulary}
        for path, text in self.repo.written():
            if CODE.search(path):
                words = text.encode("utf-8", "replace").translate(LETTERS).split()
                for word in wanted.intersection(words):
                    found.setdefault(word.decode(), []).append(path)
        return found

    def first(self, words: Iterable[str], tests: bool = False) -> Place | None:
        """Return where one of these words first is, in the tests only or anywhere."""
        for word in words:
            paths = self.index.get(word, [])
            if path := next((each for each in paths if not tests or TEST.search(each)), ""):
                text = self.repo.text(path)
                start = re.search(rf"(?i)(?<![a-z0-9_]){word}(?![a-z0-9_])", text)
                line = text.count("\n", 0, start.start()) + 1 if start else 0
                return Place(path, line, word)
        return None

    def file(self, pattern: str) -> str:
        """Return the first file at such a path."""
        wanted = re.compile(pattern, re.IGNORECASE)
        return (
            next((path for path in self.repo.files if wanted.search(path)), "") if pattern else ""
        )

    @cached_property
    def ci(self) -> str:
        """What CI runs: its own files, and the recipes of the verbs that they call."""
        said = "\n".join(self.repo.text(path) for path in self.repo.matching(CI))
        return said + "\n" + "\n".join(self.recipe(verb) for verb in called(said))

    def recipe(self, verb: str) -> str:
        """Return what a verb of the Makefile runs."""
        text = self.repo.text("Makefile")
        found = re.search(rf"(?m)^{re.escape(verb)}\s*:[^=\n]*\n((?:\t.*\n?)*)", text)
        return found[1] if found else ""

    @property
    def ci_runs_tests(self) -> bool:
        """Say whether CI calls a runner of tests, which is more than to install one."""
        calls = re.split(r"[\n;&|]+", self.ci)
        return any(RUNS_TESTS.search(each) for each in calls if "install" not in each)


def called(script: str) -> list[str]:
    """Return the verbs of a Makefile that a script calls: "make -s a && make b" -> [a, b]."""
    verbs = []
    for words in re.findall(r"(?:^|[\s;&|:\"'])make((?:[ \t]+[^\s;&|#}\"']+)*)", script):
        if "-C" not in words and "-f" not in words:
            verbs += [word for word in words.split() if re.fullmatch(r"[a-z][\w-]*", word)]
    return verbs
