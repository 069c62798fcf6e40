"""Batch scoring on a Ray cluster: the same function, one piece a task, and the release's folder is all that is sent."""

import importlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from . import batch_scoring, config
from .batch_scoring import Piece


def submit(rows: str, to: str, ray: str) -> int:
    """Let the release that serves answer on the cluster at an address such as http://head:8265; without one, here."""
    if not ray:
        return batch_scoring.submit(rows, to)
    root = batch_scoring.named(rows, to)
    try:
        urllib.request.urlopen(f"{ray}/api/version", timeout=10).close()
    except (OSError, ValueError) as error:
        what = f"no Ray cluster answers at {ray} ({error})"
        raise config.Problem(f"batch: {what}; RAY=http://head:8265 names its head") from None
    sent = ["--working-dir", str(root), "--runtime-env-json", json.dumps({"env_vars": batch_scoring.history()})]
    words = ["-m", __name__, "run", str(Path(rows).resolve()), str(Path(to).resolve())]
    return subprocess.run(["ray", "job", "submit", "--address", ray, *sent, "--", "python", *words]).returncode


def run(rows: str, to: str) -> int:
    return batch_scoring.run(rows, to, _there)


def _there(left: list[Piece]) -> Iterator[None]:
    """One core or one card of the cluster per piece; Ray tries again what a lost node was at."""
    import ray  # not on a machine that scores alone

    ray.init()
    ask = ray.remote(num_cpus=1, num_gpus=int(batch_scoring.has_card()))(batch_scoring.answer)
    waiting = [ask.remote(*piece) for piece in left]
    while waiting:
        done, waiting = ray.wait(waiting)
        try:
            yield from ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None


if __name__ == "__main__":
    module = importlib.import_module(str(__spec__ and __spec__.name))
    sys.exit(batch_scoring.main(submit=module.submit, run=module.run))
