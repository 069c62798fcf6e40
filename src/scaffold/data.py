"""The user's own rows: where they lie, what they are called, and how they come into a project."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import Problem

# What the emitted `ingest` reads.
TEXT = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
KINDS = (*TEXT, *(f"{kind}.gz" for kind in TEXT), ".parquet")
INCOMING = "data/incoming"


@dataclass(frozen=True)
class Data:
    """Files of rows, and the columns that matter; time and key are "" when there is none."""

    source: Path
    files: list[Path]
    target: str
    time: str
    key: str

    @classmethod
    def chosen(
        cls, source: Path | None, target: str | None, time: str | None, key: str | None
    ) -> "Data | None":
        """Check what was typed; None when no data was named, Problem when it cannot be read."""
        named = {"--target": target, "--time": time, "--id": key}
        if source is None:
            if typed := [option for option, column in named.items() if column is not None]:
                way_out = "name the file as well: --from-data FILE"
                raise Problem(typed[0], "names a column of no file", way_out)
            return None
        where = f"--from-data {source}"
        if not target:
            way_out = "add --target COLUMN"
            raise Problem(where, "nobody says which column is to be predicted", way_out)
        return cls(source, _files(source.expanduser(), where), target, time or "", key or "")

    def answers(self) -> dict[str, str]:
        """Return the answers that the data implies."""
        return {
            "source": "files",
            "files_path": INCOMING,
            "target_column": self.target,
            "time_column": self.time,
            "id_column": self.key,
        }

    def suggestions(self) -> dict[str, str]:
        """Return defaults that suit these rows; those of the interview speak of flights."""
        stem = self.source.name.lower().partition(".")[0]
        name = re.sub(r"[^a-z0-9]+", "-", stem).lstrip("-0123456789")[:24]
        target = " ".join(self.target.split())[:80]
        return {
            "project_name": f"{name.rstrip('-') or 'my'}-model",
            "purpose": f"Predict {target} from {self.source.name[:80] or 'the rows'}",
            "business_metric": "points",
        }

    def megabytes(self) -> float:
        return sum(file.stat().st_size for file in self.files) / 1e6

    def deliver(self, folder: Path) -> None:
        """Put the files into a folder that does not exist yet: as links where that is possible."""
        folder.mkdir(parents=True)
        for file in self.files:
            try:
                os.link(file.resolve(), folder / file.name)
            except OSError:  # Another file system, or one without hard links.
                _copy(file, folder / file.name)


def _files(source: Path, where: str) -> list[Path]:
    """Return the absolute paths of what is to be read; raise Problem when there is none."""
    if not source.exists():
        raise Problem(where, "no such file or folder", "check the path")
    found = sorted(source.iterdir()) if source.is_dir() else [source]
    known = [p.absolute() for p in found if p.name.lower().endswith(KINDS) and p.is_file()]
    if not known:
        what = f"holds no file that ends in {', '.join(KINDS)}"
        raise Problem(where, what, "unpack or rename it")
    if closed := [path for path in known if not os.access(path, os.R_OK)]:
        raise Problem(where, f"{closed[0].name} may not be read", "change its permissions")
    return known


def _copy(file: Path, to: Path) -> None:
    try:
        shutil.copyfile(file, to)
    except OSError as error:
        reason = (error.strerror or "cannot be copied").lower()
        raise Problem(str(file), reason, "make room, or choose another destination") from error
