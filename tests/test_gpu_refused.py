"""Cards that cannot do it are refused, by the interview and by the emitted planner alike."""

import json
import random
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from conftest import ROOT, asked_of
from test_gpu import A100, CARDS, OWN, Answers, Render
from test_places import interview

ASK = """
import json, sys, yaml
from pathlib import Path
from late_flights.production import feasible, promises
slo, contract = (yaml.safe_load(Path(name).read_text()) for name in ("slo.yaml", "contract.yaml"))
for line in sys.stdin:
    case = json.loads(line)
    slo["peak_rps"] = case["peak_rps"]
    slo["objectives"]["latency_p99_ms"]["target"] = case["latency_p99_ms"]
    slo["objectives"]["cost_usd_per_1000"]["target"] = case["cost_per_1000"]
    contract["encoder"]["millions"] = case["encoder_millions"]
    Path("ops").mkdir(exist_ok=True)
    Path("slo.yaml").write_text(yaml.safe_dump(slo))
    Path("contract.yaml").write_text(yaml.safe_dump(contract))
    for name in ("gpu", "prices"):
        Path(f"ops/{name}.yaml").write_text(case[name])
    found = (feasible.conflicts if case["why"] else feasible.broken)(promises.inputs())
    print(json.dumps(list(found)))
"""


def cases(answers: list[Answers], why: bool) -> list[str]:
    """Each set of answers for ASK, with what the interview would write into ops/."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT), keep_trailing_newline=True
    )
    environment.filters["from_yaml"] = yaml.safe_load
    told = []
    for each in answers:
        files = {
            name: environment.get_template(f"template/project/ops/{name}.yaml.jinja").render(each)
            for name in ("gpu", "prices")
        }
        told.append(json.dumps(each | files | {"why": why}))
    return told


def planner(project: Path, lines: list[str], folder: Path) -> list[Any]:
    """What the emitted planner says of each."""
    for name in ("slo.yaml", "params.yaml", "contract.yaml"):
        (folder / name).write_bytes((project / name).read_bytes())
    return asked_of(project, ASK, lines, folder)


DEFAULTS: Answers = {
    "model": "text", "project_name": "late-flights", "source": "files",
    "encoder": "encoder/own", "encoder_millions": 22.7,
    "gpu": "t4", "gpu_slice": "whole", "gpu_nodes": "operator", "gpu_usd_per_hour": 1,
    "target_column": "y", "time_column": "t", "id_column": "i",
    "availability_percent": 99.5, "latency_p99_ms": 150, "peak_rps": 50, "freshness_hours": 48,
    "max_model_age_days": 60, "rollback_seconds": 10, "cost_per_1000": 10, "window_days": 28,
    "drift_shift_percent": 20, "drift_within_days": 28,
}  # fmt: skip
LARGE = [  # the answers, and the smallest card that holds the encoder
    ({"encoder_millions": 7000}, "a10g"),
    ({"encoder_millions": 20000}, "l40s"),
    ({"gpu": "h100", "gpu_slice": "1g.10gb", "encoder_millions": 6000}, "t4"),
    ({"gpu": "a100-40", "gpu_slice": "1g.5gb", "encoder_millions": 70000}, "b200"),
    ({"gpu": "mi300x", "encoder_millions": 100000}, ""),
]
SLOW = [
    {"latency_p99_ms": 20, "encoder_millions": 3000},
    {"latency_p99_ms": 5, "encoder_millions": 2000, "gpu": "h200", "gpu_slice": "1g.18gb"},
]


@pytest.mark.parametrize(("answers", "card"), LARGE, ids=str)
def test_too_large_an_encoder_is_refused_and_a_card_named(
    answers: Answers, card: str, render: Render, tmp_path: Path
) -> None:
    given = DEFAULTS | {"latency_p99_ms": 10000} | answers
    (found,) = planner(render(**A100, **OWN), cases([given], why=True), tmp_path)
    (lacks,) = [each for each in found if "more memory than the card has" in each["what"]]
    assert ("the smallest card that holds it" in lacks["way_out"]) == bool(card)
    assert f"gpu {card}, the smallest" in lacks["way_out"] or not card
    assert "millions" in lacks["way_out"]
    with pytest.raises(ValueError, match=f"the smallest that holds it: {card or 'none'}"):
        render(**A100 | OWN | {"gpu": "t4", "latency_p99_ms": 10000} | answers)


@pytest.mark.parametrize("answers", SLOW, ids=str)
def test_a_promise_below_what_one_text_takes_is_refused(
    answers: Answers, render: Render, tmp_path: Path
) -> None:
    project = render(**A100, **OWN)
    (found,) = planner(project, cases([DEFAULTS | answers], why=True), tmp_path)
    (slow,) = [each for each in found if "one text takes longer" in each["what"]]
    assert "latency_p99_ms" in slow["way_out"]
    with pytest.raises(ValueError, match="one text takes the card"):
        render(**A100 | OWN | {"gpu": "t4"} | answers)


def drawn(count: int) -> list[Answers]:
    """Cards at random, with encoders and promises of all sizes."""
    of = random.Random(1)
    found = []
    for _ in range(count):
        card = of.choice(list(CARDS))
        parts = [*CARDS[card]["turns"], *CARDS[card]["slices"]]
        found.append(
            DEFAULTS
            | {
                "gpu": card,
                "gpu_slice": of.choice(parts),
                "gpu_usd_per_hour": of.choice([0.2, 1, 4, 40]),
                "encoder_millions": of.choice([22.7, 110, 335, 2000, 7000, 20000, 70000]),
                "latency_p99_ms": of.choice([5, 20, 50, 150, 1000, 10000]),
                "peak_rps": of.choice([5, 50, 500, 5000]),
                "cost_per_1000": of.choice([0.005, 0.05, 0.5, 5]),
            }
        )
    return found


def test_interview_and_planner_agree_about_cards(render: Render, tmp_path: Path) -> None:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT))
    environment.filters["from_yaml"] = yaml.safe_load
    validator = environment.from_string(interview()["window_days"]["validator"])  # type: ignore[index]
    answers = drawn(200)
    said = [validator.render(each).strip() for each in answers]
    found = planner(render(**A100, **OWN), cases(answers, why=False), tmp_path)
    words = {"memory than the card": "the encoder needs", "one text takes": "one text takes"}
    words["cost more than promised"] = "predictions cost"
    for each, clash, problems in zip(answers, said, found, strict=True):
        assert bool(clash) == bool(problems), f"{each}\n{clash}\n{problems}"
        for ours, theirs in words.items():
            assert (theirs in clash) == any(ours in what for what in problems), f"{each}\n{clash}"
    assert 40 < sum(map(bool, said)) < 160
