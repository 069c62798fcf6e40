"""The emitted repo, default path, by its own verbs: what a stranger would type, in that order.

Minutes, not seconds: it installs its own environment, trains, and rehearses on real data.
"""

import re
import subprocess
from pathlib import Path

import pytest

from conftest import git, make
from test_tour import tour

pytestmark = [pytest.mark.slow, pytest.mark.stack]


def test_setup_again_is_quick_and_help_lists_the_verbs(project: Path) -> None:
    make(project, "setup", minutes=0.5)
    said = make(project, "help", minutes=0.5)
    for verb in ("setup", "train", "plan", "up", "rehearse", "rollback", "down", "test", "lint"):
        assert f"\n{verb} " in f"\n{said}"


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
