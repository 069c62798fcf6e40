"""Break what each guard of the pipeline guards, as many at a time as there are cores.

Run in the root of an emitted project that has a release. Prints, as JSON, what became of each
fault: it is caught by a guard that was quiet before, or it does not apply.
"""

import importlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

(package,) = (path.parent.name for path in Path("src").glob("*/production"))
lab, offline = (
    importlib.import_module(f"{package}.production.rehearse.{name}") for name in ("lab", "offline")
)


def tried(name: str) -> str:
    try:
        lab.check(name)
        control, alarm = offline.run(name)
    except lab.DoesNotApply:
        return "does not apply"
    if control:
        return f"cries wolf: {control.said}"
    return "caught" if alarm else "got through"


with ThreadPoolExecutor(os.cpu_count()) as pool:
    print(json.dumps(dict(zip(lab.OFFLINE, pool.map(tried, lab.OFFLINE), strict=True))))
