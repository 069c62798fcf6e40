"""What a rule is: a tiny class whose name is its code and whose docstring is its page."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scaffold.checks.evidence import Evidence
from scaffold.checks.reading import Repo
from scaffold.checks.result import Finding, Judged
from scaffold.checks.signs import Signs

REHEARSE, TEST = "make rehearse", "make test"
NO_SIGN = "no sign of it"


@dataclass(frozen=True)
class Subject:
    """What rules look at: the files, what runs have said, and the signs of its code."""

    repo: Repo
    evidence: Evidence
    signs: Signs


class Rule:
    """One thing to look for."""

    level: ClassVar[str] = "error"

    @classmethod
    def code(cls) -> str:
        return cls.__name__

    @classmethod
    def told(cls) -> list[str]:
        """The docstring's paragraphs: the title, why, and last the way out."""
        return [
            " ".join(part.split()) for part in inspect.cleandoc(cls.__doc__ or "").split("\n\n")
        ]

    @classmethod
    def title(cls) -> str:
        return cls.told()[0].rstrip(".")

    @classmethod
    def why(cls) -> str:
        return " ".join(cls.told()[1:-1])

    @classmethod
    def way_out(cls) -> str:
        return cls.told()[-1].removeprefix("Way out: ").rstrip(".")

    @classmethod
    def finding(cls, what: str, path: str = "", line: int = 0, way_out: str = "") -> Finding:
        out = way_out or cls.way_out()
        return Finding(cls.code(), cls.level, cls.title(), what, cls.why(), out, path, line)


class Guard(Rule, ABC):
    """A rule of ours: each breach is a finding with its place."""

    @classmethod
    @abstractmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        """Yield each breach."""


class Item(Rule):
    """One item of the ML Test Score: by what it is proven in our repos, by what shown elsewhere."""

    level = "note"
    # Names are parted by spaces.
    faults: ClassVar[str] = ""  # Of the rehearsal: each that applies must be caught.
    promoted: ClassVar[bool] = False  # And a release must have got through.
    proofs: ClassVar[str] = ""  # Tests of the emitted repo: each must have passed.
    gate: ClassVar[str] = ""  # Of the evaluation: it must not be broken just now.
    words: ClassVar[str] = ""  # In code or settings: half a point.
    tested: ClassVar[str] = ""  # In tests: half; a whole one if CI runs the tests.
    files: ClassVar[str] = ""  # A path that shows it: half a point.

    @classmethod
    def judge(cls, subject: Subject) -> Judged:
        by_runs = subject.evidence.ours and (cls.faults or cls.proofs)
        return cls.proven(subject) if by_runs else cls.shown(subject)

    @classmethod
    def judged(cls, points: float, what: str, path: str = "", line: int = 0) -> Judged:
        return Judged(cls.code(), cls.title(), points, what, path, line)

    @classmethod
    def proven(cls, subject: Subject) -> Judged:
        """Judge by what runs have said: what broke it counts more than what files declare."""
        evidence, faults, proofs = subject.evidence, cls.faults.split(), cls.proofs.split()
        said = {name: str(evidence.verdicts.get(name, {}).get("verdict")) for name in faults}
        broken = [name for name in faults if said[name] in ("got through", "cries wolf")]
        if broken := [*broken, *(name for name in proofs if evidence.tests.get(name) is False)]:
            return cls.judged(0, f"the last run says that it fails: {', '.join(broken)}")
        if cls.gate and evidence.failing(cls.gate):
            return cls.judged(0, f"the gate {cls.gate} does not hold for this model")
        if not evidence.declares(faults, proofs):
            return cls.judged(0, f"taken out of the repo: {', '.join([*faults, *proofs])}")
        applying = [name for name in faults if said[name] != "does not apply"]
        if faults and not applying:
            return cls.judged(0, str(evidence.verdicts[faults[0]].get("said")))
        waiting = [name for name in applying if said[name] != "caught"]
        waiting += [name for name in proofs if name not in evidence.tests]
        waiting += ["a promotion"] if cls.promoted and not evidence.promoted else []
        if waiting:
            return cls.judged(0.5, f"declared, and no run has shown it: {', '.join(waiting)}")
        return cls.judged(1, f"shown by a run: {', '.join([*applying, *proofs])}")

    @classmethod
    def shown(cls, subject: Subject) -> Judged:
        """Judge by the files: half a point for a sign, a whole one for a test that CI runs."""
        signs, wanted = subject.signs, cls.tested.split()
        if wanted and (place := signs.first(wanted, tests=True)):
            if signs.ci_runs_tests and not subject.evidence.ours:
                return cls.judged(1, f"CI runs a test with {place.word}", place.path, place.line)
            return cls.judged(0.5, f"a test with {place.word}", place.path, place.line)
        if place := signs.first(cls.words.split()):
            return cls.judged(0.5, f"code with {place.word}", place.path, place.line)
        if path := signs.file(cls.files):
            return cls.judged(0.5, f"{path} is there", path)
        return cls.judged(0, NO_SIGN)

    @classmethod
    def open(cls, judged: Judged, ours: bool) -> Finding:
        """Turn an item that is not wholly met into a finding."""
        run = REHEARSE if cls.faults else TEST if cls.proofs else ""
        waits = ours and run and judged.points == 0.5
        way_out = f"{run}, and read its report" if waits else ""
        return cls.finding(judged.what, judged.path, judged.line, way_out)

    @classmethod
    def looked_for(cls) -> list[str]:
        """Say by what it is judged: in our repos, and elsewhere."""
        ours = [*(f"`{name}` caught" for name in cls.faults.split())]
        ours += ["a release promoted"] if cls.promoted else []
        ours += [f"`{name}` passed" for name in cls.proofs.split()]
        words, tests = (
            ", ".join(f"`{word}`" for word in names.split()) for names in (cls.words, cls.tested)
        )
        half = [f"code with one of {words}"] if words else []
        half += [f"a path like `{cls.files}`"] if cls.files else []
        half += (
            [f"a test with one of {tests}, which is a whole point if CI runs it"] if tests else []
        )
        told = [f"In our repos, by runs: {', '.join(ours)}."] if ours else []
        return [*told, f"Elsewhere, half a point for {'; for '.join(half)}."] if half else told
