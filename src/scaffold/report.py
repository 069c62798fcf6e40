"""What the commands return: plain results, turned into text or JSON by the edge."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Obstacle:
    """One reason why the promises cannot be kept."""

    where: str
    what: str
    way_out: str


@dataclass(frozen=True)
class Plan:
    """What follows from the promises, as the emitted planner computed it."""

    feasible: bool
    problems: list[Obstacle]
    capacity: dict[str, Any]
    alerts: list[dict[str, Any]]
    canary: dict[str, Any]
    error_budget: dict[str, Any]
    notices: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """Read the planner's answer; raise ValueError, TypeError or KeyError when it is none.

        A planner that cannot even read the promises gives reasons and no numbers.
        """
        data = json.loads(text)
        problems = [Obstacle(**problem) for problem in data["problems"]]
        parts: dict[str, Any] = {"capacity": {}, "alerts": [], "canary": {}, "error_budget": {}}
        if data["feasible"] or set(parts) & set(data):
            parts = {part: data[part] for part in parts}
        notices = data.get("notices", [])
        return cls(feasible=data["feasible"], problems=problems, notices=notices, **parts)

    def rows(self) -> list[tuple[str, str]]:
        """Return the plan as (subject, sentence) pairs for a table."""
        if not self.capacity:
            return []
        capacity, canary, budget = self.capacity, self.canary, self.error_budget
        origin = "measured" if capacity["measured"] else "an estimate; `make capacity` measures it"
        cost = f"{capacity['cost_per_1000']:.4g} {capacity['currency']}"
        steps = " -> ".join(f"{percent}%" for percent in canary["steps_percent"])
        owners = sorted({str(alert["owner"]) for alert in self.alerts})
        return [
            (
                "Capacity",
                f"{capacity['replicas']} x {_number(capacity['replica_rps'])} requests/s"
                f" ({origin}), {capacity['utilisation']:.0%} used at peak",
            ),
            ("Cost", f"{cost} per 1000 predictions"),
            (
                "Error budget",
                f"{_number(budget['bad_requests'])} of {_number(budget['requests'])} requests"
                f" may fail in {budget['window_days']} days",
            ),
            ("Canary", f"{steps}, {_number(canary['seconds'])} s from first to last step"),
            ("Alerts", f"{len(self.alerts)}, to {', '.join(owners)}"),
            *(("Idle", notice) for notice in self.notices),
        ]


@dataclass(frozen=True)
class Draft:
    """A rendered project that nobody has written to its place yet."""

    root: Path
    answers: dict[str, Any]
    plan: Plan
    notes: list[str] = field(default_factory=list)
    proposal: dict[str, Any] | None = None  # What the emitted inference found in the user's rows.

    def files(self) -> list[str]:
        """Return every emitted file, relative and sorted."""
        found = (path for path in self.root.rglob("*") if not path.is_dir())
        return sorted(path.relative_to(self.root).as_posix() for path in found)


@dataclass(frozen=True)
class Written:
    """What `scaffold new` did."""

    destination: Path
    commit: str
    files: list[str]
    answers: dict[str, Any]
    plan: Plan
    notes: list[str]
    proposal: dict[str, Any] | None = None

    def as_json(self) -> str:
        return json.dumps({**asdict(self), "destination": str(self.destination)}, indent=2)


@dataclass(frozen=True)
class Adopted:
    """What `scaffold adopt` proposes: a branch that adds files, and one to compare with."""

    root: Path
    branch: str  # Yours, and what it lacked.
    written: str  # The branch of what the template writes alone.
    commit: str
    added: list[str]
    kept: list[str]  # Yours, where the template would have written something else.
    answers: dict[str, Any]
    plan: Plan
    notes: list[str]

    def as_json(self) -> str:
        return json.dumps({**asdict(self), "root": str(self.root)}, indent=2)


@dataclass(frozen=True)
class Change:
    """What an update does to one file."""

    kind: str  # A key of KINDS.
    path: str
    was: str = ""  # Its name before, when it is renamed.
    lines: list[int] = field(default_factory=list)  # Where its conflicts begin.
    note: str = ""


KINDS = {
    "conflict": "In conflict: both changed the same lines",
    "asked": "Yours is kept, unless you say otherwise",
    "merged": "Merged: both changed it",
    "updated": "Template only",
    "added": "New",
    "renamed": "Renamed by the template",
    "deleted": "Deleted by the template",
    "yours": "Yours only",
    "kept_deleted": "Deleted by you, and stays so",
    "seeded": "Seeded once, and left alone",
}


@dataclass(frozen=True)
class Check:
    """What the project's own checks said; `passed` is None when they could not run."""

    command: str
    passed: bool | None
    said: str = ""


@dataclass(frozen=True)
class Update:
    """What `scaffold update` found or did; `state` says how far it went.

    States: current (nothing to do), preview, conflicts (wait in `folder`), applied, aborted.
    """

    state: str
    root: Path
    before: str
    after: str
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    migrations: list[str] = field(default_factory=list)
    news: dict[str, str] = field(default_factory=dict)  # Version crossed: what its owner must know.
    folder: Path | None = None  # Where conflicts are to be resolved.
    check: Check | None = None

    def of_kind(self, kind: str) -> list[Change]:
        return [change for change in self.changes if change.kind == kind]

    @property
    def exit_code(self) -> int:
        """2: conflicts, 1: applied, but the project's checks fail, 0: all is well."""
        if self.of_kind("conflict"):
            return 2
        return 1 if self.check and self.check.passed is False else 0

    def as_json(self) -> str:
        folder = str(self.folder) if self.folder else None
        paths = {"root": str(self.root), "folder": folder, "exit_code": self.exit_code}
        return json.dumps({**asdict(self), **paths}, indent=2)


EDITS = {
    "edited": "Ours, edited by you: each update merges it",
    "deleted": "Ours, deleted by you: it stays so",
    "seeded": "Yours from the start",
    "added": "Yours alone",
}


@dataclass(frozen=True)
class Edit:
    """How a file differs from what the template wrote."""

    kind: str  # A key of EDITS.
    path: str


@dataclass(frozen=True)
class Comparison:
    """What `scaffold diff` found: the project beside its own version of the template."""

    root: Path
    version: str
    edits: list[Edit]
    patch: str = ""  # The lines of what is ours, if they were asked for.

    def as_json(self) -> str:
        return json.dumps({**asdict(self), "root": str(self.root)}, indent=2)


@dataclass(frozen=True)
class Standing:
    """How one of many projects stands; what could not be had is empty."""

    root: Path
    version: str
    newest: str = ""  # Of its template's versions.
    uncommitted: int = 0  # files
    rehearsed: str = ""  # The faults that the last rehearsal caught, of how many, and when.
    branch: str = ""  # On it lies the update, if one was asked for.
    problem: str = ""

    @property
    def behind(self) -> bool:
        return bool(self.newest) and self.newest != self.version


def folders(files: list[str]) -> dict[str, list[str]]:
    """Group files by folder: {"src/flights": ["ingest.py", ...]}; "" is the root."""
    grouped: dict[str, list[str]] = {}
    for path in files:
        folder, _, name = path.rpartition("/")
        grouped.setdefault(folder, []).append(name)
    return dict(sorted(grouped.items()))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
