"""Whatever stands in the three files of numbers: an answer, or a line that says what is wrong."""

import contextlib
import copy
import importlib
import io
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

Render = Callable[..., Path]
NAN, INFINITE, HUGE = float("nan"), float("inf"), 10**400
WORDS = ["", "x" * 70, "@", "{{ x }}", "a: [", "\0", "é", "2013-01-01", "1e3"]
NUMBERS = [True, -1, 0, 1, 1e-300, 1e308, HUGE, NAN, INFINITE]
ODD = st.sampled_from([None, *WORDS, *NUMBERS, [], [None], ["a", "a"], {}, {"a": 1}])
LOOSE = settings(
    deadline=None,
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Emitted(NamedTuple):
    """The project's own readers, in this process, and its files as they were."""

    root: Path
    config: ModuleType
    readers: dict[str, Callable[[], object]]
    files: dict[str, Any]


@pytest.fixture(scope="module")
def emitted(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emitted]:
    root = tmp_path_factory.mktemp("fuzz") / "project"
    shutil.copytree(render(), root)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root / "src"))
        patch.chdir(root)
        of = {
            name: importlib.import_module(f"late_flights.production.{name}")
            for name in ("config", "plan", "inputs")
        }

        def contract() -> None:
            found = of["config"].contract()
            of["inputs"].Decoder(found)
            of["inputs"].label_type(found)

        readers = {
            "contract.yaml": contract,
            "slo.yaml": lambda: of["plan"].plan(json=True),
            "params.yaml": lambda: of["plan"].plan(json=True),
        }
        files = {name: yaml.safe_load((root / name).read_text()) for name in readers}
        yield Emitted(root, of["config"], readers, files)
        for name in [name for name in sys.modules if name.partition(".")[0] == "late_flights"]:
            del sys.modules[name]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document: the keys on the way to it."""
    parts = value.items() if isinstance(value, dict) else ()
    return [path, *(place for key, part in parts for place in places(part, (*path, key)))]


def changed(document: Any, place: tuple[Any, ...], how: str, odd: Any) -> Any:
    """The document with one place replaced, renamed, dropped or added to."""
    made = copy.deepcopy(document)
    if not place:
        return odd if how == "replace" else made
    *way, last = place
    holder = made
    for key in way:
        holder = holder[key]
    if how == "replace":
        holder[last] = odd
    elif how == "rename":
        holder[f"{last}s"] = holder.pop(last)
    elif how == "drop":
        del holder[last]
    else:
        holder[str(odd)] = holder[last]
    return made


def told(emitted: Emitted, name: str, text: str) -> str:
    """Let the project read this text; return its complaint, "" if it has none."""
    path = emitted.root / name
    before = path.read_bytes()
    path.write_text(text, encoding="utf-8")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            emitted.readers[name]()
    except emitted.config.Problem as problem:
        return str(problem)
    finally:
        path.write_bytes(before)
    return ""


@pytest.mark.parametrize("name", ["contract.yaml", "slo.yaml", "params.yaml"])
def test_an_odd_value_is_an_answer_or_a_line(name: str, emitted: Emitted) -> None:
    where = places(emitted.files[name])

    @LOOSE
    @given(st.sampled_from(where), st.sampled_from(["replace", "rename", "drop", "add"]), ODD)
    @example((), "replace", None)
    @example(where[-1], "replace", HUGE)
    def one(place: tuple[Any, ...], how: str, odd: Any) -> None:
        made = changed(emitted.files[name], place, how, odd)
        said = told(emitted, name, yaml.safe_dump(made, allow_unicode=True))
        assert not said or (": " in said and "\n" not in said.replace("\nslo.yaml", "")), said

    one()


@pytest.mark.parametrize("name", ["contract.yaml", "slo.yaml", "params.yaml"])
def test_torn_text_is_an_answer_or_a_line(name: str, emitted: Emitted) -> None:
    whole = (emitted.root / name).read_text()

    @LOOSE
    @given(
        st.integers(0, len(whole)),
        st.sampled_from(["", "\t", "]", '"', "&a *a", "%", "<<<<<<< x\n"]),
    )
    def one(cut: int, odd: str) -> None:
        said = told(emitted, name, whole[:cut] + odd)
        assert not said or ": " in said

    one()
