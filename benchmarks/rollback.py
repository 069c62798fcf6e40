"""Roll back 20 times under the promised load, in an emitted project that has a release.

What counts is what clients see: the time from the command until the last answer of the release
that is taken back. Run it in the project, with its Python; the result goes to the file named.
"""

import json
import statistics
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

(PACKAGE,) = (path.parent.name for path in Path("src").glob("*/production"))
releases, stack, new_release, traffic = (
    import_module(f"{PACKAGE}.production.{name}")
    for name in ("releases", "stack", "rehearse.new_release", "rehearse.traffic")
)
TIMES = 20


def verb(*words: str) -> None:
    subprocess.run([sys.executable, "-m", f"{PACKAGE}.production", *words], check=True)


def one(live: Any, good: str, bad: str) -> dict[str, float]:
    """Give all traffic to the bad release as a promotion that ends would, then take it back."""
    serving = stack.serving_slot()
    stack.start_slot(stack.other(serving), bad)
    stack.wait_ready(stack.other(serving))
    stack.set_weights({serving: 0, stack.other(serving): 100})
    releases.record("promoting", release=bad, over=good, warm=None, left=1.0)
    releases.record("promoted", release=bad, over=good, left=1.0)
    time.sleep(2)
    start = time.time()
    verb("rollback")
    wall = time.time() - start
    time.sleep(1)
    sent = live.since(start)
    answered = [each for each in sent if each.release == bad]
    last = max((each.at + each.seconds for each in answered), default=start)
    failed = float(sum(each.kind == "failed" for each in sent))
    return {"seconds": last - start, "command_seconds": wall, "failed": failed}


def main() -> None:
    verb("up")
    good, live = releases.stable(), traffic.Traffic()
    try:
        bad = new_release._package("# another commit\n")
        live.start()
        time.sleep(3)
        runs = [one(live, good, bad) for _ in range(TIMES)]
    finally:
        live.stop()
        verb("down")
    told: dict[str, Any] = {"times": TIMES, "requests_per_second": live.rate}
    for name in runs[0]:
        seen = [round(run[name], 3) for run in runs]
        told[name] = {"median": statistics.median(seen), "worst": max(seen)}
    Path(sys.argv[1]).write_text(json.dumps(told, indent=1) + "\n")
    print(f"rollback: {json.dumps(told)}")


if __name__ == "__main__":
    main()
