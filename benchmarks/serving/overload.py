"""Offer the stack of an emitted project one, two and three times what it carries.

Run it in a project. It measures the capacity first (`make capacity`), promises what the plan
takes for usable of it, at 100 ms, and then asks for more than was promised. Goodput: answers with
200 a second. Prints JSON.
"""

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

(PACKAGE,) = (path.parent.name for path in Path("src").glob("*/production"))
capacity = import_module(f"{PACKAGE}.production.capacity")
SECONDS = 15


def verb(*words: str) -> None:
    command = [sys.executable, "-m", f"{PACKAGE}.production", *words]
    subprocess.run(command, check=True, stdout=sys.stderr)


def promise(name: str, value: float) -> None:
    path = Path("slo.yaml")
    text = re.sub(rf"({name}:(?: {{target:)?) [\d.]+", rf"\g<1> {value:g}", path.read_text())
    path.write_text(text)


def offered(times: float) -> dict[str, Any]:
    told = capacity.run(times, f"{SECONDS}s", VUS="400")
    good = told["http_req_duration{status:200}"]
    asked = told["http_reqs"]["count"]
    shed, failed = (round(told[name]["value"] * asked) for name in ("shed", "failed"))
    return {
        "offered": round(asked / SECONDS),
        "goodput": round((asked - shed - failed) / SECONDS),
        "p99_ms": round(good["p(99)"], 1),
        "shed": shed,
        "failed": failed,
    }


def main() -> None:
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # k6
    promise("latency_p99_ms", 100)
    verb("plan")
    verb("up")
    verb("capacity")
    promise("peak_rps", int(0.7 * json.loads(Path("ops/capacity.json").read_text())["highest_rps"]))
    verb("down")
    verb("plan")
    verb("up")
    try:
        print(json.dumps({str(times): offered(times) for times in (1, 2, 3)}, indent=1))
    finally:
        verb("down")


if __name__ == "__main__":
    main()
