"""What may go wrong: a mistake is one line that says where, what, and the way out."""

from typing import Any


class Problem(Exception):
    """A mistake that its owner can mend; shown as one line, never as a traceback."""

    exit_code = 2

    def __init__(self, where: str, what: str, way_out: str) -> None:
        self.where, self.what, self.way_out = (_one_line(text) for text in (where, what, way_out))
        super().__init__(f"{self.where}: {self.what}; {self.way_out}")

    def as_dict(self) -> dict[str, Any]:
        return {"where": self.where, "what": self.what, "way_out": self.way_out}


class Refused(Problem):
    """Well-formed answers that lead nowhere: promises that cannot be kept, or a change of mind."""

    exit_code = 1


class Infeasible(Refused):
    """The promises cannot be kept together; carries the plan that says why."""

    def __init__(self, reasons: list[tuple[str, str, str]], plan: dict[str, Any]) -> None:
        super().__init__(*reasons[0])
        self.plan = plan
        self.lines = [str(Refused(*reason)) for reason in reasons]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "plan": self.plan}


def _one_line(text: str) -> str:
    return " ".join(text.split())
