"""What holds for any promises: run on an emitted project, from its root, by test_promises.py.

A promise that clashes is refused, and each way out leads out; a promise changes exactly the lines
that declare it; what is wrong in a file is one line.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from late_flights.production import config, feasible, plan, promises

TOY = """
dataset: toy
version: 1
task: regression
time: at
target: y
quarantine: 0
columns: {line: {type: string}, stop: {type: integer}}
history: {delay: {of: late, by: [line], known: told, last: 3}}
"""
CLASHES = [  # what is promised, what cannot be, the answers that clash
    ({"peak_rps": 0.01}, "AvailabilityBurnsFast cannot fire", "peak_rps"),
    ({"peak_rps": 0.018, "window_days": 7}, "LatencyBurnsSlow cannot fire", "peak_rps"),
    ({"cost_usd_per_1000": 0.00001}, "cost more than promised", "cost_usd_per_1000 usd_per_hour"),
    ({"latency_p99_ms": 1}, "slower than promised", "latency_p99_ms"),
    ({"rollback_seconds": 1}, "way back takes longer", "rollback_seconds"),
    ({"freshness_hours": 99999}, "too old on its first day", "freshness_hours model_age_days"),
    (
        {"availability_percent": 99.9, "rollback_seconds": 600, "window_days": 7},
        "total outage",
        "availability_percent",
    ),
    (
        {"availability_percent": 99.999, "peak_rps": 1, "window_days": 14},
        "each canary step just misses",
        "availability_percent peak_rps",
    ),
    (
        {"availability_percent": 99.9999, "peak_rps": 1, "window_days": 7},
        "one failed request",
        "availability_percent",
    ),
    (
        {"shift_percent": 1, "within_days": 2, "peak_rps": 50},
        "too few rows to find the shift",
        "shift_percent within_days peak_rps",
    ),
]


@pytest.fixture(autouse=True)
def _copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The same values, in a tenth of the time: the planner reads its files thousands of times.
    monkeypatch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)
    shutil.copytree("ops", tmp_path / "ops")
    shutil.copy("slo.yaml", tmp_path)
    shutil.copy("params.yaml", tmp_path)
    shutil.copy("contract.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("payloads.json").write_text("[{}]", encoding="utf-8")


def edit(name: str, old: str, new: str) -> None:
    text, found = re.subn(old, new, Path(name).read_text("utf-8"))
    assert found
    Path(name).write_text(text, encoding="utf-8")


def promise(path: str, name: str, value: object) -> None:
    edit(path, "(" + name + r":(?: \{target:)?) [\d.e-]+", rf"\g<1> {value}")


@pytest.mark.parametrize(("promised", "said", "clash"), CLASHES)
def test_promises_that_clash_are_refused_and_each_way_out_leads_out(
    promised: dict[str, float], said: str, clash: str
) -> None:
    for name, value in promised.items():
        promise("slo.yaml", name, value)
    given = promises.inputs()
    (found,) = [each for each in feasible.conflicts(given) if said in each["what"]]
    assert plan.plan(json=True) == 1
    assert set(clash.split()) <= set(re.findall(r"[a-z]\w+", found["way_out"]))
    for way in found["way_out"].split(" or "):
        if not (step := re.fullmatch(r"(\w+) ([\d.e-]+)", way)):
            continue  # "more", "less"
        name, value = step.groups()
        path = "ops/prices.yaml" if name == "usd_per_hour" else "slo.yaml"
        before = Path(path).read_text(encoding="utf-8")
        promise(path, name, value)
        assert not [
            each for each in feasible.conflicts(promises.inputs()) if said in each["what"]
        ], way
        Path(path).write_text(before, encoding="utf-8")


def test_each_promise_changes_exactly_what_it_declares() -> None:
    # Low enough that each matters where the largest counts.
    for name, value in {"freshness_hours": 48, "model_age_days": 60, "within_days": 28}.items():
        promise("slo.yaml", name, value)
    files = plan.derived(promises.follow(promises.inputs()))
    parts = {
        "slo.yaml": "",
        "params.yaml": "ports.",
        "ops/prices.yaml": "",
        "contract.yaml": "encoder.millions",
    }
    for name, part in parts.items():
        text = Path(name).read_text(encoding="utf-8")
        for path, value in leaves(yaml.safe_load(text)):
            if not path.startswith(part):
                continue
            changed = set()
            for other in others(path, value):
                node = parent = yaml.safe_load(text)
                *steps, last = path.split(".")
                for step in steps:
                    parent = parent[step]
                parent[last] = other
                Path(name).write_text(yaml.safe_dump(node), encoding="utf-8")
                for file, (now, _) in plan.derived(promises.follow(promises.inputs())).items():
                    pairs = zip(files[file][0].split("\n"), now.split("\n"), strict=True)
                    changed |= {
                        f"{file}:{n}" for n, (one, two) in enumerate(pairs, 1) if one != two
                    }
            Path(name).write_text(text, encoding="utf-8")
            assert changed == set(plan.dependents(files, f"{name}: {path}")), path


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path, node


def others(path: str, value: Any) -> list[Any]:
    """Return other values, near and far: a limit below or above may hide a small change."""
    if path.endswith("owner"):
        return [role for role in ("data", "model", "platform") if role != value]
    if path == "fallback":
        return ["refuse"]
    if isinstance(value, str):
        return [f"{value}-2"]
    if path.startswith("ports"):
        return [value + 1000]
    if "percent" in path:
        return [6, 22, 85] if "shift" in path else [90, 95, 99.95, 99.9]
    if "auc" in path:
        return [0.51, 0.77]
    return (
        [8, 90]
        if path == "window_days"
        else [type(value)(value * factor) or 1 for factor in (0.05, 0.3, 1.1, 7)]
    )


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("slo", "window_days:", "window_day:", "window_day is unknown; did you mean window_days?"),
        ("slo", "peak_rps:", "peak_rps: -1 #", "peak_rps is -1: "),
        ("slo", 'data: "@', 'data: "', "owners.data has no handle"),
        ("slo", "owners:", "owners: [", "not YAML"),
        ("contract", "by: [line]", "by: [nobody]", "by: nobody is no text or integer"),
        ("contract", "of: late", "of: stop", "stop is sent with the request"),
        ("contract", "last: 3", "last: 0", "last is 0: "),
        ("contract", "known:", "know:", "know is unknown; did you mean known?"),
    ],
)
def test_a_wrong_promise_or_contract_is_one_line(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    text = TOY if name == "contract" else Path("slo.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / f"{name}.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(config.Problem) as caught:
        getattr(config, name)(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
