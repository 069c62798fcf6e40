"""`scaffold new --from-data`: any usual file, any names; the rest is refused in one line."""

import csv
import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pexpect
import polars as pl
import pytest
import yaml

from conftest import CLI, Scaffold, git
from scaffold.cli import main

DOWN, UP = "\x1b[B", "\x1b[A"
UGLY = ["a b", '"quoted"', "it's", "ünï 日本", "class", "select", "{{ x }}", "a: #b", "1st", "a,b"]
UGLY += [
    "null",
    "y" * 140,
    "- a",
    "&r",
    "line\nbreak",
    " lead ",
    "\U0001f600",
    "columns",
    "a.b",
    "",
]
UGLY_TARGET = "is it: 'yes' #1?"


def table(names: list[str], target: str, rows: int = 600) -> list[list[object]]:
    """A header and rows: each third column is text, and two numbers decide on the target."""
    chance, found = random.Random(7), [[*names, target]]
    for _ in range(rows):
        row = [
            round(chance.gauss(0, 1), 3) if at % 3 else chance.choice(["größer", "it's", "{{r}}"])
            for at, _ in enumerate(names)
        ]
        found.append([*row, int(float(row[1]) + float(row[2]) + chance.gauss(0, 1) > 0)])
    return found


def written(path: Path, rows: list[list[object]], mark: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=mark).writerows(rows)
    return path


def decimal_commas(rows: list[list[object]]) -> list[list[object]]:
    return [[str(v).replace(".", ",") if isinstance(v, float) else v for v in row] for row in rows]


@pytest.fixture
def fitted(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, Path]]:
    """Fit a project to a file, in this process; return the exit code and where it should be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(source: str, *options: str) -> tuple[int, Path]:
        typed = ["scaffold", "new", "demo", "--yes", "--template", str(template), *options]
        monkeypatch.setattr("sys.argv", [*typed, "--from-data", source])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), tmp_path / "demo"

    return run


Fitted = Callable[..., tuple[int, Path]]


def a_semicolon_file(at: Path) -> str:
    rows = decimal_commas(table(["wo", "größe", "x"], "ja"))
    return written(at / "in.csv", rows, ";", "cp1252").name


def a_utf_16_file(at: Path) -> str:
    return written(at / "in.csv", table(["wo", "größe", "x"], "ja"), encoding="utf-16").name


def a_tab_file(at: Path) -> str:
    return written(at / "in.tsv", table(["wo", "größe", "x"], "ja"), "\t").name


def a_folder(at: Path) -> str:
    (at / "in").mkdir()
    rows = table(["wo", "größe", "x"], "ja")
    written(at / "in/a.csv", rows[:301])
    written(at / "in/b.csv", [[*row[1:], row[0]] for row in [rows[0], *rows[301:]]], ";")
    return "in"


def a_parquet_file(at: Path) -> str:
    rows = table(["wo", "größe", "x"], "ja")
    frame = pl.DataFrame(rows[1:], schema=rows[0], orient="row")
    frame.with_columns(pl.col("wo").cast(pl.Categorical)).write_parquet(at / "in.parquet")
    return "in.parquet"


def a_compressed_file(at: Path) -> str:
    rows = decimal_commas(table(["wo", "größe", "x"], "ja"))
    plain = written(at / "in.csv", rows, ";", "cp1252")
    (at / "in.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    return "in.csv.gz"


def a_file_of_json_lines(at: Path) -> str:
    rows = table(["wo", "größe", "x"], "ja")
    frame = pl.DataFrame(rows[1:], schema=rows[0], orient="row")
    frame.with_columns(nested=pl.struct("x")).write_ndjson(at / "in.jsonl")
    return "in.jsonl"


SHAPES = [a_semicolon_file, a_utf_16_file, a_tab_file, a_folder, a_parquet_file]
SHAPES += [a_compressed_file, a_file_of_json_lines]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_the_contract_is_the_same_whatever_the_file(
    shape: Callable[[Path], str], fitted: Fitted, tmp_path: Path
) -> None:
    code, demo = fitted(shape(tmp_path), "--target", "ja")
    assert code == 0
    contract = yaml.safe_load((demo / "contract.yaml").read_text())
    assert (contract["task"], contract["target"], contract["time"]) == ("binary", "ja", None)
    kinds = {name: rules["type"] for name, rules in contract["columns"].items()}
    assert kinds == {"wo": "string", "größe": "number", "x": "number"}
    assert contract["columns"]["wo"]["levels"] == ["größer", "it's", "{{r}}"]
    assert contract["columns"]["x"]["max"] < 10
    assert list((demo / "data/incoming").iterdir())
    assert git(demo, "status", "--porcelain") == ""
    assert "data" not in git(demo, "ls-files").split("/")


FLOATS: list[tuple[list[float], str, list[str]]] = [
    ([0.0, 1.0], "binary", []),
    ([1.0, 2.0], "binary", ["2", "1"]),
    ([1.0, 2.0, 3.0], "multiclass", ["1", "2", "3"]),
    ([1.0, 2.5, 3.0], "regression", []),
]


@pytest.mark.parametrize(("values", "task", "classes"), FLOATS, ids=str)
def test_whole_numbers_of_which_a_missing_one_made_floats_are_classes(
    values: list[float], task: str, classes: list[str], fitted: Fitted, tmp_path: Path
) -> None:
    rows = table(["a", "b", "c"], "y")
    for at, row in enumerate(rows[1:]):
        row[-1] = values[at % len(values)] if at % 10 else ""
    code, demo = fitted(written(tmp_path / "in.csv", rows).name, "--target", "y")
    assert code == 0
    contract = yaml.safe_load((demo / "contract.yaml").read_text())
    assert (contract["task"], contract.get("classes", [])) == (task, classes)


def test_the_proposal_is_in_the_json_and_the_answers_are_recorded(
    scaffold: Scaffold, template: Path, tmp_path: Path
) -> None:
    rows = table(["a", "b", "c", "when", "key"], "y")
    for day, row in enumerate(rows[1:]):
        row[3:5] = [f"2020-{1 + day // 56:02}-{1 + day % 28:02} 12:00", f"k{day}"]
    written(tmp_path / "in.csv", rows)
    columns = ("--target", "y", "--time", "when", "--id", "key")
    said = ("--yes", "--json", "--template", str(template))
    done = scaffold("new", "demo", "--from-data", "in.csv", *columns, *said)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["proposal"]["time"] == "when"
    assert set(found["proposal"]["columns"]) == {"a", "b", "c"}
    assert found["answers"]["id_column"] == "key"
    assert found["answers"]["project_name"] == "in-model"
    assert found["answers"]["purpose"] == "Predict y from in.csv"
    contract = yaml.safe_load((tmp_path / "demo/contract.yaml").read_text())
    assert contract["columns"] == found["proposal"]["columns"]
    assert found["proposal"]["split"]["train_until"] in (tmp_path / "demo/params.yaml").read_text()
    assert (tmp_path / "demo/data/incoming/in.csv").samefile(tmp_path / "in.csv")


def test_the_review_shows_the_proposal_and_a_change_makes_another(
    template: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text(GOOD)
    options = ["new", "demo", "--defaults", "--template", str(template)]
    data = ["--from-data", "in.csv", "--target", "y"]
    child = pexpect.spawn(
        CLI[0],
        [*CLI[1:], *options, *data],
        cwd=str(tmp_path),
        env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        dimensions=(80, 120),
        encoding="utf-8",
        timeout=60,
    )
    for shown in ("binary: y", "The data", "u, v, w", "Left out: n: counts the rows", "The plan"):
        child.expect_exact(shown)
    child.expect_exact("Leave")
    child.send(DOWN + "\r")
    child.expect_exact("Back")
    child.send(UP * 6 + "\r")  # Up from the first goes round to the end of the list.
    child.expect_exact("Which column is to be predicted")
    child.send("\x7fa\r")
    child.expect_exact("regression: a")
    child.expect_exact("What now?")
    child.send("\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    contract = yaml.safe_load((tmp_path / "demo/contract.yaml").read_text())
    assert (contract["task"], contract["target"]) == ("regression", "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "in.csv"]


def test_a_column_may_have_any_name(fitted: Fitted, tmp_path: Path) -> None:
    written(tmp_path / "in.csv", table(UGLY, UGLY_TARGET))
    code, demo = fitted("in.csv", "--target", UGLY_TARGET)
    assert code == 0
    contract = yaml.safe_load((demo / "contract.yaml").read_text())
    assert set(contract["columns"]) == set(UGLY) - {""}
    assert contract["target"] == UGLY_TARGET


GOOD = "n,a,b,y,t\n" + "".join(
    f"{n},{n * 37 % 101},{'uvw'[n % 3]},{n * 7 % 11 % 2},{n % 3}\n" for n in range(600)
)
NUMBERS = [*range(600)]
BAD = [
    (None, "--target y", "--from-data in.csv: no such file or folder; check the path"),
    (GOOD, "", "nobody says which column is to be predicted; add --target COLUMN"),
    (GOOD, "--target yy", "target: there is no column 'yy'; did you mean 'y'?"),
    (GOOD, "--target y --time tt", "time: there is no column 'tt'; did you mean 't'?"),
    (GOOD, "--target y --id nn", "id: there is no column 'nn'; did you mean 'n'?"),
    (GOOD, "--target y --id y", "--id: 'y' is not valid"),
    (GOOD, "--target y --id b", "id: 600 rows have 3 different values of 'b'"),
    (
        GOOD.replace("\n", ",same\n").replace("same", "s", 1),
        "--target y --id s",
        "all rows have one",
    ),
    (GOOD, "--target y --time b", "600 of 600 values of 'b' do not parse as a time (e.g. u, v, w)"),
    (GOOD.replace(",t\n", ",_row\n"), "--target y", "the name '_row' means something else here"),
    (GOOD.replace("n,a,b", "a,a,b"), "--target y", "two columns are named 'a'; rename one"),
    (GOOD[:400], "--target y", "fewer than the gates can judge; bring at least 500"),
    ("", "--target y", "cannot be read: in.csv is empty"),
    ("n,y\n", "--target y", "target: 0 rows have a value in 'y'"),
    ("PK\x03\x04\0\0", "--target y", "cannot be read: in.csv is no text"),
    (
        "a,y\n" + "1.5,1\n" * 600,
        "--target y",
        "target: 'y' is always 1; there is nothing to predict",
    ),
    ("y\n" + "".join(f"{n % 2}\n" for n in NUMBERS), "--target y", "none is left to predict from"),
    ("a,y\n" + "".join(f"{n},w {n}\n" for n in NUMBERS), "--target y", "is text with 600 values"),
    ("a,y\n" + "".join(f"{n},{n}.5\n" for n in NUMBERS) + "1,inf\n", "--target y", "infinite"),
    (
        GOOD,
        "--target y --data source=sample --data peak_rps=0",
        "--data peak_rps: '0' is not valid",
    ),
]


@pytest.mark.parametrize(("content", "options", "line"), BAD, ids=[line for *_, line in BAD])
def test_data_that_cannot_work_is_one_line_and_nothing_is_written(
    content: str | None,
    options: str,
    line: str,
    fitted: Fitted,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if content is not None:
        (tmp_path / "in.csv").write_text(content)
    before = sorted(tmp_path.iterdir())
    code, _ = fitted("in.csv", *options.split())
    said = capsys.readouterr().err
    assert (code, len(said.splitlines())) == (2, 1), said
    assert said.startswith("scaffold: ")
    assert line in said
    assert sorted(tmp_path.iterdir()) == before


def test_files_of_a_folder_must_have_the_same_columns(fitted: Fitted, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    code, _ = fitted("in", "--target", "y")
    assert code == 2
    (tmp_path / "in/a.csv").write_text(GOOD)
    (tmp_path / "in/b.csv").write_text(GOOD.replace("n,a,b", "n,a,c"))
    code, demo = fitted("in", "--target", "y")
    assert code == 2
    assert not demo.exists()


@pytest.mark.parametrize("option", ["--target", "--time", "--id"])
def test_a_column_without_a_file_is_refused(option: str, scaffold: Scaffold) -> None:
    done = scaffold("new", "demo", "--yes", option, "y")
    assert done.returncode == 2
    assert done.stderr == (
        f"scaffold: {option}: names a column of no file; name the file as well: --from-data FILE\n"
    )
