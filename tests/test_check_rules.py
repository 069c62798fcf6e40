"""Each rule of `scaffold check` finds what it says, and is quiet where there is nothing."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from breaches import BROKEN, FINE
from conftest import ROOT, commit_all, git
from scaffold.checks import catalogue
from scaffold.checks.result import Checked
from scaffold.checks.rule import Guard, Item
from scaffold.checks.run import check

Write = Callable[[dict[str, str]], Path]
ITEMS = [item for section in catalogue.items().values() for item in section]
CI = {".github/workflows/ci.yml": "jobs: {test: {steps: [{run: make test}]}}\n"}
CI["Makefile"] = "test: setup\n\tpytest -q\n"
OWN_JUDGEMENT = ["MODEL1", "MODEL3", "MODEL4", "MODEL7"]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Make a repository of these files."""

    def written(files: dict[str, str]) -> Path:
        root = tmp_path / "repo"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        git(root, "init", "--quiet")
        return root

    return written


def points(found: Checked, code: str) -> float:
    return next(i.points for all_ in found.sections.values() for i in all_ if i.code == code)


def cases(table: dict[str, list[dict[str, str]]]) -> list[tuple[str, dict[str, str]]]:
    return [(code, files) for code, each in table.items() for files in each]


@pytest.mark.parametrize(("code", "files"), cases(BROKEN))
def test_a_breach_is_found_with_its_place_and_way_out(
    code: str, files: dict[str, str], write: Write
) -> None:
    found = [each for each in check(write(files)).findings if each.code == code]
    assert len(found) == 1
    assert found[0].path in files or found[0].path == "reports/rehearsal.json"
    assert all((found[0].what, found[0].why, found[0].way_out))


@pytest.mark.parametrize(("code", "files"), cases(FINE))
def test_what_is_right_is_not_found(code: str, files: dict[str, str], write: Write) -> None:
    assert [each for each in check(write(files)).findings if each.code == code] == []


def test_every_guard_is_broken_and_kept_by_a_case() -> None:
    codes = {guard.code() for guard in catalogue.guards()} - {"SC010"}  # That one has its own test.
    assert codes == set(BROKEN) == set(FINE)


def test_a_newer_template_is_named_with_its_version(write: Write, tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    git(template, "init", "--quiet")
    commit_all(template)
    git(template, "tag", "v1.0.0")
    answers = f"_commit: v1.0.0\n_src_path: {template}\n"
    root = write({".copier-answers.yml": answers})
    assert check(root, {"SC010"}).findings == []
    git(template, "tag", "v1.10.0")
    git(template, "tag", "v1.9.0")
    assert [each.what for each in check(root, {"SC010"}).findings] == [
        "this is v1.0.0, the newest is v1.10.0"
    ]


@pytest.mark.parametrize("item", [i for i in ITEMS if i.tested], ids=lambda item: item.code())
def test_a_sign_is_worth_half_and_a_test_that_ci_runs_a_whole_point(
    item: type[Item], write: Write
) -> None:
    assert points(check(write({"README.md": "A model.\n"})), item.code()) == 0
    code = {"src/model.py": f"import {(item.words or 'nothing').split()[0]}\n"}
    assert points(check(write(code)), item.code()) == (0.5 if item.words else 0)
    test = {"tests/test_it.py": f"def test_it(): {item.tested.split()[0]}()\n"}
    assert points(check(write(test)), item.code()) == 0.5
    found = check(write(CI))
    assert points(found, item.code()) == 1
    judged = next(i for all_ in found.sections.values() for i in all_ if i.code == item.code())
    assert (judged.path, judged.line) == ("tests/test_it.py", 1)


@pytest.mark.parametrize(
    ("recipe", "worth"),
    [("ls", 0.5), ("pip install pytest", 0.5), ("pip install pytest && pytest", 1), ("tox", 1)],
)
def test_a_test_is_whole_only_if_ci_runs_it(recipe: str, worth: float, write: Write) -> None:
    test = {"tests/test_it.py": "def test_features(): features()\n"}
    found = check(write({**test, **CI, "Makefile": f"test:\n\t{recipe}\n"}))
    assert points(found, "DATA7") == worth


def test_reviews_are_whole_only_where_the_repo_requires_them(write: Write) -> None:
    assert points(check(write({".github/CODEOWNERS": "* @a\n"})), "MODEL1") == 0.5
    rules = {".github/rulesets/main.json": '{"required_approving_review_count": 1}'}
    assert points(check(write(rules)), "MODEL1") == 1


def test_every_item_is_judged_by_something() -> None:
    for item in ITEMS:
        own = item.code() in OWN_JUDGEMENT
        assert own == ("judge" in vars(item)), item
        assert item.tested or item.files, item
    assert [len(section) for section in catalogue.items().values()] == [7, 7, 7, 7]


def test_every_rule_says_why_and_the_way_out() -> None:
    for code, rule in catalogue.rules().items():
        told = rule.told()
        assert [part.startswith("Way out: ") for part in told] == [False, False, True], code
        assert all(part.endswith(".") for part in told), code
        assert not issubclass(rule, Guard) or "Looked for: " in told[1], code
        assert inspect.getdoc(rule) != inspect.getdoc(rule.__base__), code


def test_the_page_of_the_checks_is_current() -> None:
    """If this fails: scaffold check --explain all > docs/checks.md."""
    page = (ROOT / "docs/checks.md").read_text(encoding="utf-8")
    assert page == catalogue.explained("all")
    assert all(f"### {code}\n" in page for code in catalogue.rules())
