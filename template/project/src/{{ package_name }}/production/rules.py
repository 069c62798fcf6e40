"""Alert rules that follow from the promises, and the promtool tests that make each of them fire."""

from pathlib import Path
from string import Template
from typing import Any

import yaml

from .config import Slo

Alert = dict[str, Any]  # a row of templates/rules.yaml, with `owner`: a handle
Expected = tuple[Alert, int, bool]  # the alert, at this minute, fires or not

TEMPLATES = Path(__file__).parent / "templates"
SHEET = TEMPLATES / "rules.yaml"
MIN_BAD = 5  # bad requests in the short window: below it, an error or two at night is noise
SHARES = {"1h": 0.02, "6h": 0.05, "1d": 0.1, "3d": 0.1}  # of the budget, spent in a long window
MINUTES = {"5m": 5, "30m": 30, "1h": 60, "2h": 120, "6h": 360, "1d": 1440, "3d": 4320}
AFTER = 400  # minutes that a test can last after something breaks


def budgets(slo: Slo) -> dict[str, float]:
    """Return the share of requests that may be bad, per objective that burns a budget."""
    return {
        "availability": round(1 - slo.objectives.availability_percent.target / 100, 9),
        "latency": 0.01,
    }


def burns(slo: Slo, budget: float) -> dict[str, float]:
    """Return the burn rate to alert on: in the long window it spends that window's share.

    At least 1, which keeps the promise. At most 0.8 / budget: no more than all requests can be bad,
    so that a burn rate of 1 / budget or more would not fire even in a total outage.
    """
    rates = {w: share * slo.window_days * 1440 / MINUTES[w] for w, share in SHARES.items()}
    return {window: round(min(max(rate, 1), 0.8 / budget), 3) for window, rate in rates.items()}


def slow(slo: Slo, budget: float) -> float:
    """Return a share of bad requests that deserves a ticket and no page."""
    rate = burns(slo, budget)
    return budget * (min(rate["1d"], rate["3d"]) + min(rate["1h"], rate["6h"])) / 2


def dead(slo: Slo) -> list[tuple[str, str, str]]:
    """Return where, what and way out of each alert that peak traffic cannot make fire."""
    found = []
    for objective, budget in budgets(slo).items():
        for name, window, share in (("Fast", "5m", 1.0), ("Slow", "6h", slow(slo, budget))):
            most = slo.peak_rps * 60 * MINUTES[window] * share
            what = f"is {slo.peak_rps:g}: {objective.title()}Burns{name} cannot fire: it asks for "
            what += f"{MIN_BAD} bad requests in {window}, {share:.2%} of the peak make {most:.2g}"
            way_out = f"promise {slo.peak_rps * MIN_BAD / most * 1.1:.2g} or more"
            found += [("slo.yaml: peak_rps", what, way_out)] if most < MIN_BAD else []
    return found


def alerts(slo: Slo) -> list[Alert]:
    """Return every alert with the handle of its owner, who is the owner of its objective."""
    owner = {name: slo.owners[goal.owner] for name, goal in slo.objectives}
    return [alert | {"owner": owner[alert["objective"]]} for alert in _sheet(slo)["alerts"]]


def _sheet(slo: Slo) -> dict[str, Any]:
    text = Template(SHEET.read_text(encoding="utf-8")).substitute(names(slo))
    return dict(yaml.safe_load(text))


def names(slo: Slo) -> dict[str, Any]:
    """Return what the templates call by name."""
    goal, rate = slo.objectives, 60 * slo.peak_rps
    found: dict[str, Any] = {"min_bad": MIN_BAD, "peak_rps": f"{slo.peak_rps:g}"}
    # The bucket is spelt as the client library spells it: 1.0, not 1.
    found |= {"p99_ms": f"{goal.latency_p99_ms.target:g}", "p99_s": goal.latency_p99_ms.target / 1000}
    found |= {"quality_auc": f"{goal.quality_auc.target:g}"}
    found |= {"freshness_hours": f"{goal.freshness_hours.target:g}"}
    found |= {"staleness_days": f"{goal.model_age_days.target:g}"}
    found |= {"rate": f"{rate:.10g}", "none": _after(360 * rate, 0), "all": _after(0, rate)}
    found |= {"twice": _after(60 * rate, 2 * rate)}
    for name, budget in budgets(slo).items():
        burn = burns(slo, budget)
        found |= {f"{name}_{window}": f"{burn[window] * budget:.6g}" for window in burn}
        found |= {f"{name}_{window}_burn": f"{burn[window]:g}" for window in burn}
        found[f"{name}_minutes"] = int(burn["1h"] * budget * MINUTES["1h"]) + 2
        found[f"{name}_budget"] = budget
        found[f"{name}_spent"] = f"{rate * budget / 2:.10g}"
        found[f"{name}_within"] = f"{rate * (1 - budget / 2):.10g}"
        for severity, long, short in (("page", "6h", "30m"), ("ticket", "3d", "6h")):
            # Just above the lower burn rate, and enough for the short window.
            bad = max(1.1 * burn[long] * budget * rate, 1.2 * MIN_BAD / MINUTES[short])
            found[f"{name}_{severity}_good"] = _after(0, rate - bad)
            found[f"{name}_{severity}_bad"] = _after(0, bad)
    return found


def _after(total: float, rate: float) -> str:
    """Return how a counter goes on that has come to a total and now grows by `rate` a minute."""
    return f"{total + rate:.10g}+{rate:.10g}x{AFTER}"


def rules(slo: Slo) -> dict[str, Any]:
    """Return the Prometheus rule file as data."""
    records = [
        {"record": f"{name}:increase{window}", "expr": expr.replace("WINDOW", window)}
        for window in MINUTES
        for name, expr in _sheet(slo)["sums"].items()
    ]
    groups = {"windows": records, "alerts": [_rule(alert) for alert in alerts(slo)]}
    return {"groups": [{"name": name, "rules": found} for name, found in groups.items()]}


def _rule(alert: Alert) -> dict[str, Any]:
    labels = {key: alert[key] for key in ("severity", "owner", "objective")}
    runbook = f"ops/runbook.md#{alert['alert'].lower()}"
    notes = {"summary": alert["summary"], "runbook": runbook}
    head = {key: alert[key] for key in ("alert", "expr", "for")}
    return head | {"labels": labels, "annotations": notes}


def tests(slo: Slo) -> dict[str, Any]:
    """Return the promtool tests: every alert fires in time, quiet hours stay quiet."""
    found, sheet = alerts(slo), _sheet(slo)
    hours = {name: f"{values}x360" for name, values in sheet["health"].items()}
    expected = [(alert, minute, False) for minute in (4, 60, 360) for alert in found]
    made = [_fires(sheet["health"], a, test, found) for a in found for test in a["tests"]]
    made.append(_test("quiet hours", hours | sheet["calm"], expected))
    made.append(_test("three errors in a lone night", hours | sheet["night"], expected))
    return {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": made}


def _fires(health: dict[str, str], alert: Alert, test: dict[str, Any], found: list[Alert]) -> dict[str, Any]:
    start, end = test["health"], test["health"] + test["minutes"]
    series = {name: f"{values}x{start + AFTER}" for name, values in health.items()}
    series |= {name: f"{health[name]}x{start} {now}" for name, now in test["breaks"].items()}
    # What deserves a ticket must page nobody.
    pages = [a for a in found if a["severity"] == "page"] if alert["severity"] == "ticket" else []
    expected = [(alert, start, False), (alert, end, True), *((a, end, False) for a in pages)]
    return _test(f"{alert['alert']} within {test['minutes']} minutes", series, expected)


def _test(name: str, series: dict[str, str], expected: list[Expected]) -> dict[str, Any]:
    checks = []
    for alert, minute, fires in expected:
        rule, check = _rule(alert), {"eval_time": f"{minute}m", "alertname": alert["alert"]}
        labels = rule["labels"] | alert.get("labels", {})
        message = {"exp_labels": labels, "exp_annotations": rule["annotations"]}
        checks.append(check | {"exp_alerts": [message] if fires else []})
    inputs = [{"series": key, "values": values} for key, values in series.items()]
    return {"name": name, "interval": "1m", "input_series": inputs, "alert_rule_test": checks}
