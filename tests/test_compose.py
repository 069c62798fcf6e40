"""The stack in containers: what is asked of compose and of the engine; a stand-in is the engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from manifests import Planned

# It writes down what it is asked, and has a container of each part that was brought up.
STAND_IN = """#!/bin/sh
echo "blue=$BLUE green=$GREEN user=$RUN_AS: $*" >>asked
case "$1 $2" in
"compose --file") test ! -e broken || { echo "no such network" >&2; exit 1; }
  for part; do echo running >"state-${part##*/}"; done ;;
"image inspect") test -e "built" ;;
"build --label") touch built; ls "$8" "$8/bento" >context ;;
"inspect --format") cat "state-${4#late-flights-}" ;;
"rm --force") rm -f "state-${3#late-flights-}" ;;
esac
"""
FLOW = """
from pathlib import Path
from late_flights.production import containers, releases, stack
assert stack.PARTS is containers
for slot, release in (("blue", "old"), ("green", "new")):
    home = releases.FOLDER / release / "bento/src"
    home.mkdir(parents=True)
    (home / "requirements-serve.txt").touch()
    (home.parent / "bento.yaml").touch()
print(containers.runs())
containers.begin()
print(containers.runs())
stack.start_slot("blue", "old")
stack.start_slot("green", "new")
stack.start_slot("green", "new")
print(containers.states()["green"])
stack.stop_slot("green")
print(containers.states().get("green"))
"""


@pytest.fixture
def project(planned: Planned, tmp_path: Path) -> Path:
    root = tmp_path / "project"
    subprocess.run(["cp", "-r", planned("compose").parents[1], root], check=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").write_text(STAND_IN)
    (tmp_path / "bin/docker").chmod(0o755)
    return root


def python(project: Path, code: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": f"{project.parent / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=os.environ | path | {"PYTHONPATH": "src", "STACK": "containers", "ENGINE": "docker"},
        capture_output=True,
        text=True,
    )


def test_a_slot_is_a_container_of_its_release(project: Path) -> None:
    done = python(project, FLOW)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "False"
    assert [each for each in done.stdout.splitlines() if " " not in each][1:] == [
        "True",
        "running",
        "None",
    ]
    asked = (project / "asked").read_text().splitlines()
    ups = [line for line in asked if " up --detach" in line]
    others = "proxy prometheus alertmanager grafana monitor"
    assert [line.split("--detach ")[1] for line in ups] == [
        others,
        "--no-deps blue",
        "--no-deps green",
    ]
    assert ups[1].startswith("blue=old green=none user=")
    assert ups[2].startswith("blue=old green=new user=")
    assert "user=0:" not in "".join(ups)  # nobody is root, whoever asks
    # An image is built from the Bento and the pinned versions, and nothing else of the repo.
    built = (project / "context").read_text().split()
    assert set(built) - {"bento.yaml", "src"} >= {
        "bento",
        "constraints.txt",
        "requirements-serve.txt",
    }
    assert not {"slo.yaml", "ops", ".git", "run"} & set(built)


def test_what_compose_refuses_is_one_line(project: Path) -> None:
    (project / "broken").touch()
    done = python(
        project,
        "from late_flights.production import config, containers\n"
        "try: containers.begin()\n"
        "except config.Problem as problem: print(problem)",
    )
    assert done.stdout.count("\n") == 1
    assert "no such network" in done.stdout


def test_an_image_that_cannot_be_built_is_one_line(project: Path) -> None:
    done = python(
        project,
        "from pathlib import Path\n"
        "from late_flights.production import config, containers\n"
        "Path('run/blue').mkdir(parents=True)\n"
        "Path('run/blue/release').symlink_to(Path('releases/gone/bento').resolve())\n"
        "try: containers.start('blue')\n"
        "except config.Problem as problem: print(problem)",
    )
    assert done.stdout == "image: late-flights:gone cannot be built; see above\n"
    assert "there is no releases/gone/bento" in done.stderr
