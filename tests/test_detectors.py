"""A rehearsal that nothing watches: with each detector taken out, each fault must get through."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import make
from servers import listen_elsewhere

DETECTORS = yaml.safe_load(Path(__file__).with_name("detectors.yaml").read_text())


def silenced(rules: Any, names: list[str]) -> Any:
    """Let these alerts wait for what never comes."""
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        if rule.get("alert") in names:
            rule["expr"] = "vector(1) < 0"
    return rules


def without(root: Path, *faults: str) -> None:
    """Take out what catches these faults."""
    (production,) = root.glob("src/*/production")
    rules = root / "ops/derived/rules.yml"
    alerts = [name for fault in faults for name in DETECTORS[fault].get("alerts", [])]
    rules.write_text(yaml.safe_dump(silenced(yaml.safe_load(rules.read_text()), alerts)))
    changes = {
        (root / file if "/" in file else production / file, old): new
        for fault in faults
        for file, texts in DETECTORS[fault].items()
        if file != "alerts"
        for old, new in texts.items()
    }
    # All are caught within seconds: what nobody looks for need not be waited for a minute.
    waits = "deadline = time.time() + seconds"
    changes[production / "rehearse/lab.py", waits] = waits.replace("seconds", "min(seconds, 20)")
    for (path, old), new in changes.items():
        text = path.read_text()
        assert old in text, f"{path.name} no longer holds: {old}"
        path.write_text(text.replace(old, new))


@pytest.mark.slow
def test_what_no_detector_watches_gets_through(project: Path, tmp_path: Path) -> None:
    """All at once: what is still caught is caught by something else than it says."""
    make(project, "package", minutes=10)
    root = tmp_path / "project"
    left = shutil.ignore_patterns(".git", ".dvc", ".venv", ".rehearsal", "run", "releases")
    shutil.copytree(project, root, ignore=left)
    listen_elsewhere(root / "params.yaml")  # Other tests have a stack up meanwhile.
    python = project / ".venv/bin/python"
    shell = {"PATH": f"{python.parent}:{os.environ['PATH']}", "PYTHONPATH": str(root / "src")}
    (root / "reports/rehearsal.json").unlink(missing_ok=True)
    for verb in ("plan", "package", "rehearse"):
        if verb == "package":
            without(root, *DETECTORS)
        command = [python, "-m", "late_flights.production", verb]
        done = subprocess.run(command, cwd=root, env=os.environ | shell, timeout=1200)
        assert done.returncode == (verb == "rehearse")
    results = json.loads((root / "reports/rehearsal.json").read_text())["results"]
    assert {result["id"]: result["verdict"] for result in results} == dict.fromkeys(
        DETECTORS, "got through"
    )
