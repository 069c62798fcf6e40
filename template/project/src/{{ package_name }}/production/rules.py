"""Alert rules that follow from the promises, and the promtool tests that make each of them fire.

Burn rates follow the SRE workbook: page when 2 % of the error budget goes in an hour or 5 % in six,
ticket when 10 % goes in a day or in three. Rules compare sums of counters and never divide, so that
quiet hours weigh little and 0/0 cannot make a rule vanish.
"""

from pathlib import Path
from string import Template
from typing import Any

import yaml

from .config import Slo

Alert = dict[str, Any]  # a row of templates/alerts.yaml, with `owner`, a handle

TEMPLATES = Path(__file__).parent / "templates"
MIN_BAD = 5  # bad requests in the short window: below it, an error or two at night is noise
PAGE = [("1h", "5m", 0.02), ("6h", "30m", 0.05)]  # long window, short window, share of the budget
TICKET = [("1d", "2h", 0.1), ("3d", "6h", 0.1)]
MINUTES = {"5m": 5, "30m": 30, "1h": 60, "2h": 120, "6h": 360, "1d": 1440, "3d": 4320}
HISTORY = 360  # minutes of health before a test breaks something
ANSWERS = 'haproxy_frontend_http_responses_total{proxy="public",code="2xx"}'
ERRORS = ANSWERS.replace("2xx", "5xx")
TIMES = "service_request_seconds_count"


def budgets(slo: Slo) -> dict[str, float]:
    """Return the share of requests that may be bad, per objective that burns a budget."""
    return {"availability": round(1 - slo.objectives.availability.percent / 100, 9), "latency": 0.01}


def factor(slo: Slo, budget: float, long: str, share: float) -> float:
    """Return the burn rate that spends this share of the whole window's budget in `long`.

    Never below 1, which keeps the promise. At most 0.8 / budget: the share of bad requests cannot
    pass 1, so that a burn rate above 1 / budget would not fire even in a total outage.
    """
    return round(min(max(share * slo.window_days * 1440 / MINUTES[long], 1), 0.8 / budget), 3)


def dead(slo: Slo) -> list[tuple[str, str, str]]:
    """Return where, what and way out of alerts that could not fire even in a total outage."""
    most, least = slo.peak_rps * 60 * MINUTES["5m"], MIN_BAD / (60 * MINUTES["5m"])
    what = f"is {slo.peak_rps:g}: AvailabilityBurnsFast cannot fire: it asks for {MIN_BAD} bad "
    what += f"requests in 5m, a total outage at peak makes {most:.2g}"
    way_out = f"promise {least:.2g} or more"
    return [("slo.yaml: peak_rps", what, way_out)] if most < MIN_BAD else []


def alerts(slo: Slo) -> list[Alert]:
    """Return every alert with the handle of its owner, who is the owner of its objective."""
    goal = slo.objectives
    numbers = {
        "peak_rps": f"{slo.peak_rps:g}",
        "freshness_hours": f"{goal.freshness.hours:g}",
        "staleness_days": f"{goal.staleness.days:g}",
        "quality_auc": f"{goal.quality.auc:g}",
        "too_much": _line(60 * slo.peak_rps, 120 * slo.peak_rps),
    }
    text = Template((TEMPLATES / "alerts.yaml").read_text(encoding="utf-8")).substitute(numbers)
    found = [*_burns(slo), *yaml.safe_load(text)]
    return [row | {"owner": slo.owners[getattr(goal, row["objective"]).owner]} for row in found]


def _burns(slo: Slo) -> list[Alert]:
    found, rate = [], 60 * slo.peak_rps
    for objective, budget in budgets(slo).items():
        page, ticket = (
            [(long, short, factor(slo, budget, long, share)) for long, short, share in pairs]
            for pairs in (PAGE, TICKET)
        )
        soon = int(min(burn * budget * MINUTES[long] for long, _, burn in page)) + 2
        # The ticket's test burns between what tickets and what pages, from the start.
        slow = rate * budget * (min(row[2] for row in ticket) + min(row[2] for row in page)) / 2
        for name, severity, pairs, breaks, minutes in (
            ("Fast", "page", page, _bad(objective, rate, rate), soon),
            ("Slow", "ticket", ticket, _bad(objective, rate, slow), HISTORY),
        ):
            worst = min(burn for *_, burn in pairs)
            found.append(
                {
                    "alert": f"{objective.title()}Burns{name}",
                    "objective": objective,
                    "severity": severity,
                    "for": "0s",
                    "expr": " or ".join(_burning(objective, budget, *pair) for pair in pairs),
                    "summary": f"the error budget of {objective} burns {worst:g} times too fast",
                    "breaks": breaks,
                    "minutes": minutes,
                }
            )
    return found
