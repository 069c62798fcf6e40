"""Which comparison of an alert can never be true: a share above 1."""

import ast
import operator
import re
from collections.abc import Iterator

NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
TERM = rf"\(?\s*{NUMBER}(?:\s*-\s*{NUMBER})?\s*\)?"  # 14.4, (14.4), (1 - 0.93)
SUM = rf"\(?\s*{TERM}(?:\s*[*/]\s*{TERM})*(?:\s*\))?"
LEFT = r"(?P<left>[\w:]*)\s*(?:\{[^}]*\})?\s*\)*"
COMPARED = re.compile(rf"{LEFT}\s*(?P<sign>>=?)\s*(?P<number>{SUM})")
TIMES = re.compile(r"\s*\*\s*\(?\s*(?P<right>[a-zA-Z_:][\w:]*)")
BUDGET = re.compile(rf"\(\s*1(?:\.0*)?\s*-\s*{NUMBER}\s*\)")
SHARE = re.compile(r"(?<![a-z])(ratio|error_rate|errors?_share|failure_rate)(?![a-z])", re.I)
PERCENT = re.compile(r"(?<![\d.])100(\.0)?\s*\*|\*\s*100(?![\d.])")
PAIRS = [("bad", "all"), ("bad", "total"), ("errors", "total"), ("error", "total")]
PAIRS += [("failed", "total"), ("errors", "requests")]
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub}
OPERATORS |= {ast.Mult: operator.mul, ast.Div: operator.truediv}


def never(expr: str) -> str:
    """Say why an alert can never fire; empty when it can, or when it cannot be decided."""
    reasons = [next(_impossible(part), "") for part in re.split(r"\bor\b", expr)]
    return reasons[0] if all(reasons) else ""


def _impossible(part: str) -> Iterator[str]:
    for found in () if PERCENT.search(part) else COMPARED.finditer(part):
        number, left = found["number"].strip(), found["left"]
        limit = _value(number)
        if limit is None or limit < 1 or (limit == 1 and found["sign"] == ">="):
            continue
        times = TIMES.match(part, found.end())
        if times and _of(left, times["right"]):
            yield f"{left} is never more than {limit:g} times {times['right']}"
        elif not times and (BUDGET.search(number) or SHARE.search(left)):
            yield f"a share is never above {limit:.4g} ({found['sign']} {number})"


def _of(part: str, whole: str) -> bool:
    """Say whether one series counts a part of what the other counts, by their names."""
    return any(few in part and part.replace(few, many) == whole for few, many in PAIRS)


def _value(text: str) -> float | None:
    """Compute a sum of plain numbers; None when it is more than that."""
    try:
        return _computed(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, KeyError):
        return None


def _computed(node: ast.expr) -> float:
    if isinstance(node, ast.BinOp):
        return float(OPERATORS[type(node.op)](_computed(node.left), _computed(node.right)))
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    raise ValueError(ast.dump(node))
