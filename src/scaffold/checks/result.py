"""What `scaffold check` returns: the score by section, and each finding with its way out."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PAGE = "docs/checks.md"
MEANING = (  # The paper's own bands, from the best down: a score above this means that.
    (5, "exceptional: tested and watched by machine, almost throughout"),
    (3, "strong tests and monitoring, fit for what must not fail"),
    (2, "reasonably tested; more could be done by machine"),
    (1, "a first pass at production; it needs more"),
    (0, "not wholly untested, but expect serious holes"),
    (-1, "more a research project than a production system"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that stands between the repository and production."""

    code: str
    level: str  # error | warning | note
    title: str
    what: str
    why: str
    way_out: str
    path: str = ""  # Relative to the root; empty when it is nowhere, because it is missing.
    line: int = 0

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path

    @property
    def link(self) -> str:
        return f"{PAGE}#{self.code.lower()}"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "where": self.where, "link": self.link}


@dataclass(frozen=True)
class Judged:
    """How far an item of the ML Test Score is met: 0, 0.5 (by hand, or declared), or 1."""

    code: str
    title: str
    points: float
    what: str
    path: str = ""
    line: int = 0


@dataclass(frozen=True)
class Checked:
    """What was found in one repository."""

    root: Path
    ours: bool  # Written by our template: what a run said counts, not what files promise.
    sections: dict[str, list[Judged]]
    findings: list[Finding]
    notes: list[str] = field(default_factory=list)
    min_score: float = 0.0

    def points(self, section: str) -> float:
        return sum(item.points for item in self.sections[section])

    @property
    def score(self) -> float:
        """The smallest of the four sums: a system is as ready as its weakest part."""
        return min(map(self.points, self.sections))

    @property
    def weakest(self) -> list[str]:
        return [name for name in self.sections if self.points(name) == self.score]

    @property
    def meaning(self) -> str:
        return next(words for above, words in MEANING if self.score > above)

    def of_level(self, level: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == level]

    @property
    def exit_code(self) -> int:
        """1: something is broken, or the score is below what was asked; 0: neither."""
        return int(bool(self.of_level("error")) or self.score < self.min_score)

    def as_json(self) -> str:
        sections = {
            name: {"points": self.points(name), "items": [asdict(item) for item in items]}
            for name, items in self.sections.items()
        }
        found = {
            "root": str(self.root),
            "ours": self.ours,
            "score": self.score,
            "meaning": self.meaning,
            "sections": sections,
            "findings": [finding.as_dict() for finding in self.findings],
            "notes": self.notes,
            "exit_code": self.exit_code,
        }
        return json.dumps(found, indent=2)
