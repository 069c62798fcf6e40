"""Copier with the patches in upstream/, which are offered to it."""

import shutil
import subprocess
from pathlib import Path

UPSTREAM = Path(__file__).resolve().parent / "upstream"


def patched(package: Path, folder: Path) -> Path:
    """Copy Copier's package into an empty folder outside of any repository, and patch it there."""
    shutil.copytree(package, folder / package.name)
    for patch in sorted(UPSTREAM.glob("*.patch")):
        subprocess.run(["git", "apply", patch], cwd=folder, check=True)
    return folder
