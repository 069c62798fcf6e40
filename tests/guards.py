"""Break what each guard of the pipeline guards, as many at a time as there are cores.

Run in the root of an emitted project: all faults, which need a release, or those that are named.
Prints, as JSON, what became of each; leaves with 1 if one got through or cried wolf.
"""

import contextlib
import importlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

(package,) = (path.parent.name for path in Path("src").glob("*/production"))
lab, offline, run = (
    importlib.import_module(f"{package}.production.rehearse.{name}")
    for name in ("lab", "offline", "run")
)
names = sys.argv[1:]


def tried(name: str) -> str:
    try:
        lab.check(name)
        control, alarm = offline.run(name)
    except lab.DoesNotApply:
        return "does not apply"
    if control:
        return f"cries wolf: {control.said}"
    return "caught" if alarm else "got through"


# Where a release serves: the worse candidate is judged against it.
with (
    contextlib.nullcontext() if names else run._bench(),
    ThreadPoolExecutor(os.cpu_count()) as pool,
):
    names = names or list(lab.OFFLINE)
    found = dict(zip(names, pool.map(tried, names), strict=True))
print(json.dumps(found))
sys.exit(not set(found.values()) <= {"caught", "does not apply"})
