"""`scaffold new` as its user sees it: what is written, what is said, what is refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import Scaffold, commit_all, git
from scaffold.cli import main


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_defaults_write_a_project_with_a_first_commit(
    scaffold: Scaffold, toy: Path, tmp_path: Path
) -> None:
    done = scaffold("new", "demo", "--defaults", "--template", str(toy))
    assert done.returncode == 0, done.stderr
    assert "make -C demo setup rehearse" in done.stdout
    demo = tmp_path / "demo"
    assert git(demo, "log", "--format=%an %s").strip() == "Ada Start from the template"
    assert git(demo, "branch", "--show-current").strip() == "main"
    assert git(demo, "status", "--porcelain") == ""
    assert "slo.yaml" in git(demo, "ls-files")
    assert not (demo / "written-by-the-planner").exists()
    assert left_behind(tmp_path) == ["demo"]


def test_json_is_all_that_stdout_holds(scaffold: Scaffold, toy: Path, tmp_path: Path) -> None:
    done = scaffold("new", "demo", "--yes", "--json", "--template", str(toy))
    result = json.loads(done.stdout)
    assert result["destination"] == str(tmp_path / "demo")
    assert result["commit"] == git(tmp_path / "demo", "rev-parse", "HEAD").strip()
    assert result["plan"]["capacity"]["replicas"] == 2
    assert result["answers"]["peak_rps"] == 50
    assert "slo.yaml" in result["files"]
    assert done.stderr == ""


def test_data_wins_over_the_answers_file(scaffold: Scaffold, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("_src_path: elsewhere\npeak_rps: 70\nwindow_days: 30\n")
    options = ("--answers", "mine.yml", "--data", "peak_rps=80", "--template", str(toy))
    done = scaffold("new", "demo", *options)
    assert done.returncode == 0, done.stderr
    slo = yaml.safe_load((tmp_path / "demo/slo.yaml").read_text())
    assert (slo["peak_rps"], slo["window_days"]) == (80, 30)


def test_a_project_can_be_made_again_from_its_own_answers(
    scaffold: Scaffold, toy: Path, tmp_path: Path
) -> None:
    options = ("--template", str(toy))
    scaffold("new", "one", "--defaults", "--data", "peak_rps=80", *options)
    scaffold("new", "two", "--answers", "one/.copier-answers.yml", *options)
    first, second = (tmp_path / name / ".copier-answers.yml" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_an_empty_folder_is_filled(scaffold: Scaffold, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    done = scaffold("new", "demo", "--defaults", "--template", str(toy))
    assert done.returncode == 0, done.stderr
    assert git(tmp_path / "demo", "status", "--porcelain") == ""


def test_missing_parents_are_made(scaffold: Scaffold, toy: Path, tmp_path: Path) -> None:
    done = scaffold("new", "a/b/demo", "--defaults", "--template", str(toy))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a/b/demo/slo.yaml").exists()
    assert left_behind(tmp_path) == ["a"]


def test_without_an_identity_the_first_commit_is_neutral_and_says_so(
    scaffold: Scaffold, toy: Path, tmp_path: Path
) -> None:
    done = scaffold(
        "new", "demo", "--defaults", "--template", str(toy), GIT_CONFIG_GLOBAL=os.devnull
    )
    assert done.returncode == 0, done.stderr
    assert "scaffold@localhost" in done.stdout
    assert git(tmp_path / "demo", "log", "--format=%ae %ce").split() == ["scaffold@localhost"] * 2


def test_uncommitted_changes_of_a_template_are_in_and_said(
    scaffold: Scaffold, toy: Path, tmp_path: Path
) -> None:
    draft = tmp_path / "draft"
    shutil.copytree(toy, draft)
    (draft / "template/project/new.txt").write_text("new\n")
    options = ("--template", str(draft), "--ref", "HEAD")
    done = scaffold("new", "demo", "--defaults", *options, GIT_CONFIG_GLOBAL=os.devnull)
    assert done.returncode == 0, done.stderr
    assert "not committed" in done.stdout
    assert (tmp_path / "demo/new.txt").exists()


def test_ref_chooses_a_version_and_a_relative_template_is_recorded_whole(
    scaffold: Scaffold, toy: Path, tmp_path: Path
) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(toy, newer)
    (newer / "template/project/new.txt").write_text("new\n")
    commit_all(newer)
    assert scaffold("new", "tag", "--yes", "--template", "newer").returncode == 0
    assert scaffold("new", "head", "--yes", "--template", "newer", "--ref", "main").returncode == 0
    assert not (tmp_path / "tag/new.txt").exists()
    assert (tmp_path / "head/new.txt").exists()
    recorded = yaml.safe_load((tmp_path / "tag/.copier-answers.yml").read_text())
    assert (recorded["_src_path"], recorded["_commit"]) == (str(newer), "v1.0.0")


BAD = [
    ("--data peak_rsp=80", "--data peak_rsp: no such answer; did you mean peak_rps?"),
    ("--data package_name=x", "--data package_name: no such answer"),
    ("--data peak_rps", "--data peak_rps: has no key=value"),
    ("--data peak_rps=many", "--data peak_rps: 'many' is not a whole number; give one, e.g. 50"),
    ("--data peak_rps=1.5", "'1.5' is not a whole number"),
    ("--data peak_rps=0", "--data peak_rps: '0' is not valid; must be from 1 to 100000"),
    ("--data latency_p99_ms=4", "must be from 5 to 10000 milliseconds, e.g. 150"),
    ("--data availability_percent=100", "must be from 90 to below 100 percent, e.g. 99.5"),
    ("--data availability_percent=nan", "must be from 90 to below 100 percent"),
    ("--data value_right=inf", "must be more than 0 and at most a billion"),
    ("--data value_wrong=0", "must be more than 0"),
    ("--data quality_floor_auc=0.5", "must be more than 0.5 and less than 1"),
    ("--data freshness_hours=0", "must be from 1 to 8760 hours"),
    ("--data max_model_age_days=0", "must be from 1 to 3650 days"),
    ("--data rollback_seconds=601", "must be from 1 to 600 seconds"),
    ("--data cost_per_1000=-1", "must be more than 0 and at most a million"),
    ("--data window_days=6", "must be from 7 to 90 days"),
    ("--data project_name=Late_Flights", "use lower-case words joined by hyphens"),
    ("--data project_name=a-", "use lower-case words joined by hyphens"),
    ("--data project_name=json", "'json' is already the name of a Python module or word"),
    ("--data project_name=late--flights", "use lower-case words joined by hyphens"),
    (f"--data project_name={'a' * 31}", "at most 30 characters"),
    ("--data owner_data=team", "write a handle, @name or @organisation/team, e.g. @data-team"),
    ("--data owner_model=@a/b/c", "write a handle"),
    ("--data owner_platform=@", "write a handle"),
    ("--data purpose=", "say in one line"),
    ("--data business_metric=", "name the unit"),
    ("--data source=sql", "--data source: 'sql' is not a choice; choose sample or files"),
    ("--data time_column=when", "has no effect with the other answers; leave it out"),
    ("--data source=files --data files_path=/abs", "give a path inside the project"),
    ("--data source=files --data files_path=a/../..", "give a path inside the project"),
    ("--data source=files --data target_column=", "name a column in one line"),
    ("--data source=files --data time_column=target", "another than target"),
    ("--data source=files --data id_column=time", "another than target and time"),
    ("--answers none.yml", "--answers none.yml: no such file or directory"),
    ("--answers list.yml", "list.yml: holds no answers; write one key: value a line"),
    ("--answers broken.yml", "broken.yml: is not YAML"),
    ("--answers typo.yml", "typo.yml: windowdays: no such answer; did you mean window_days?"),
    ("--answers nested.yml", "nested.yml: peak_rps: [1] is not one value"),
    ("--template nowhere", "--template nowhere: does not exist; give a folder or the URL"),
    ("--template empty", "empty has no copier.yml"),
    ("--template git+file:///nowhere.git", "--template git+file:///nowhere.git:"),
    ("--ref v9", "--ref v9:"),
    ("--frobnicate", "No such option: --frobnicate"),
]


@pytest.mark.parametrize(("options", "line"), BAD)
def test_bad_input_is_one_line_and_nothing_is_written(
    options: str,
    line: str,
    toy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "list.yml").write_text("- 1\n")
    (tmp_path / "broken.yml").write_text("a: [\n")
    (tmp_path / "typo.yml").write_text("windowdays: 3\n")
    (tmp_path / "nested.yml").write_text("peak_rps: [1]\n")
    (tmp_path / "empty").mkdir()
    before = left_behind(tmp_path)
    source = () if "--template" in options else ("--template", str(toy))
    typed = ["scaffold", "new", "demo", "--defaults", *options.split(), *source]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", typed)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as left:  # In this process: the table is long.
        main()
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert len(said.splitlines()) == 1, said
    assert said.startswith("scaffold: ")
    assert line in said
    assert left_behind(tmp_path) == before


def test_a_newline_in_an_answer_is_refused(scaffold: Scaffold, toy: Path) -> None:
    for key in ("purpose", "business_metric", "project_name", "owner_data"):
        data = f"{key}=@one\n" if key == "owner_data" else f"{key}=one\n"
        done = scaffold("new", "demo", "--yes", "--data", data, "--template", str(toy))
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), key


@pytest.mark.parametrize("kind", ["file", "full"])
def test_a_taken_destination_is_refused(
    kind: str, scaffold: Scaffold, toy: Path, tmp_path: Path
) -> None:
    demo = tmp_path / "demo"
    if kind == "full":
        demo.mkdir()
    (demo / "mine.txt" if kind == "full" else demo).write_text("mine")
    done = scaffold("new", "demo", "--defaults", "--template", str(toy))
    assert done.returncode == 2
    assert "choose a folder that does not exist yet" in done.stderr
    assert left_behind(tmp_path) == ["demo"]


def test_a_missing_git_is_one_line(scaffold: Scaffold, toy: Path, tmp_path: Path) -> None:
    done = scaffold("new", "demo", "--defaults", "--template", str(toy), PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == "scaffold: git: is not installed; install it, e.g. apt-get install git\n"


def test_nobody_at_the_terminal_is_one_line(scaffold: Scaffold, toy: Path) -> None:
    done = scaffold("new", "demo", "--template", str(toy))
    assert done.returncode == 2
    assert "no terminal" in done.stderr
    assert "--defaults" in done.stderr


def test_infeasible_promises_are_refused_with_every_way_out(
    scaffold: Scaffold, toy: Path, tmp_path: Path
) -> None:
    options = ("new", "demo", "--yes", "--data", "peak_rps=2000", "--template", str(toy))
    done = scaffold(*options)
    assert done.returncode == 1
    assert "slo.yaml: peak_rps: too many; lower peak_rps to 1000" in done.stderr
    assert "slo.yaml: peak_rps: too dear" in done.stderr
    result = json.loads(scaffold(*options, "--json").stdout)
    assert result["error"]["plan"]["feasible"] is False
    assert result["exit_code"] == 1
    assert left_behind(tmp_path) == []


def test_a_planner_that_cannot_read_the_promises_is_heard(scaffold: Scaffold, toy: Path) -> None:
    done = scaffold("new", "demo", "--yes", "--data", "peak_rps=777", "--template", str(toy))
    assert done.returncode == 1
    assert done.stderr == "scaffold: slo.yaml: makes no sense; mend it\n"


def test_a_broken_planner_names_the_template(scaffold: Scaffold, toy: Path, tmp_path: Path) -> None:
    done = scaffold("new", "demo", "--yes", "--data", "peak_rps=666", "--template", str(toy))
    assert done.returncode == 2
    assert str(toy) in done.stderr
    assert "the planner broke" in done.stderr
    bare = tmp_path / "bare"
    (bare / "template/project").mkdir(parents=True)
    (bare / "copier.yml").write_text("_subdirectory: template/project\npeak_rps: 5\n")
    shutil.copy(next((toy / "template/project").glob("*answers_file*")), bare / "template/project")
    done = scaffold("new", "demo", "--yes", "--template", str(bare))
    assert done.returncode == 2
    assert "its planner failed" in done.stderr
    assert left_behind(tmp_path) == ["bare"]


def test_a_template_with_tasks_is_refused(scaffold: Scaffold, toy: Path, tmp_path: Path) -> None:
    unsafe = tmp_path / "unsafe"
    shutil.copytree(toy, unsafe, ignore=shutil.ignore_patterns(".git"))
    with (unsafe / "copier.yml").open("a") as file:
        file.write('_tasks: ["touch owned"]\n')
    done = scaffold("new", "demo", "--yes", "--template", str(unsafe))
    assert done.returncode == 2
    assert "copier copy --trust" in done.stderr
    assert left_behind(tmp_path) == ["unsafe"]


def test_a_shell_completes_commands_and_options() -> None:
    for typed, place, wanted in (
        ("scaffold up", "1", "update"),
        ("scaffold new --fr", "2", "--from-data"),
    ):
        shell = {"_SCAFFOLD_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": place}
        command = Path(sys.executable).with_name("scaffold")
        done = subprocess.run(
            [command], env={**os.environ, **shell}, capture_output=True, text=True
        )
        assert done.stdout.split() == [wanted]
