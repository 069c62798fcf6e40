"""The commands of docs/tour.md: run them, and write down what they say.

python tools/docs/tour.py FOLDER: all of them, in an empty folder (15 minutes; it uses the ports of
the stack). The tests run them too, and hold what they say against what stands there.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

TOUR = Path(__file__).resolve().parents[2] / "docs/tour.md"
BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
# What differs from run to run: ids, counts, seconds, widths; and a note for those who work on it.
VARIES = (("[0-9a-f]{7,}", "id"), (r"\d+(\.\d+)?", "0"), (" +", " "), ("^Note: .*\n", ""))


@dataclass(frozen=True)
class Step:
    """A command as it is typed, and what it says."""

    command: str
    said: str

    def same(self) -> str:
        """Return what it says, but for what differs from run to run."""
        text = self.said
        for pattern, word in VARIES:
            text = re.sub(pattern, word, text, flags=re.MULTILINE)
        return text


def steps(text: str) -> list[Step]:
    """Return the commands of a page: a line that begins with `$`, and what follows it."""
    lines = "".join(BLOCK.findall(text)).split("$ ")[1:]
    return [Step(*(part.strip("\n") for part in each.partition("\n")[::2])) for each in lines]


def run(step: Step, folder: Path) -> tuple[Step, Path]:
    """Run one command as from a fresh shell; return what it said, and the folder it ends in."""
    ours = ("MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHON", "PYTEST", "GIT_AUTHOR", "GIT_COMMITTER")
    shell = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    shell |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "90"}
    shell["LC_ALL"] = "C.UTF-8"  # What is sorted has one order.
    where = f"{step.command}\ncode=$?\npwd >&3\nexit $code"
    reading, writing = os.pipe()
    with os.fdopen(reading) as told:
        done = subprocess.run(
            ["bash", "-c", where.replace(">&3", f">&{writing}")],
            cwd=folder,
            env=shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=(writing,),
        )
        os.close(writing)
        lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
        return replace(step, said="\n".join(lines)), Path(told.read().strip())


def written(text: str, found: list[Step]) -> str:
    """Return the page with what the commands have said now."""
    left = iter(found)

    def block(old: re.Match[str]) -> str:
        count = len(re.findall(r"^\$ ", old[0], re.MULTILINE))
        each = [next(left) for _ in range(count)]
        return "".join(f"$ {s.command}\n" + (f"{s.said}\n" if s.said else "") for s in each)

    return BLOCK.sub(block, text)


def main() -> None:
    folder, text, found = Path(sys.argv[1]), TOUR.read_text(encoding="utf-8"), []
    for step in steps(text):
        print(f"$ {step.command}", flush=True)
        done, folder = run(step, folder)
        found.append(done)
        print(done.said, flush=True)
    TOUR.write_text(written(text, found), encoding="utf-8")


if __name__ == "__main__":
    main()
