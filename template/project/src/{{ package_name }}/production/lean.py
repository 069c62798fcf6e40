"""Your train.py, and with it LightGBM, without what that imports only because it finds it: seconds of each verb."""

import contextlib
import functools
import importlib
import sys
from pathlib import Path
from types import ModuleType

# Module: package. A development environment has these, the serving image has not.
HEAVY = {name: name for name in ("pandas", "matplotlib", "dask", "pyarrow")} | {"sklearn": "scikit-learn"}


@functools.cache
def train_code() -> ModuleType:
    """Return your train.py. What requirements-serve.txt names stays visible: your model may need it."""
    files = [parent / "requirements-serve.txt" for parent in Path(__file__).parents[2:4]]  # of a release, of the repo
    needed = "".join(path.read_text(encoding="utf-8").lower() for path in files if path.exists())
    hidden = [name for name, package in HEAVY.items() if name not in sys.modules and package not in needed]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        with contextlib.suppress(ImportError):  # the model is another's
            importlib.import_module("lightgbm")
    finally:
        for name in hidden:
            del sys.modules[name]
    return importlib.import_module("..train", __package__)
