"""Propose contract.yaml, the split and the windows of drift from the data itself: `make contract`."""

import contextlib
import io
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from .. import ingest as yours
from . import config, infer, plan

HEAD = """\
# What the data must look like. One file, read by ingest, validate, train, service and watch.
# type: string | integer | number | boolean | datetime. nulls: the largest share that may be missing (0 if absent).
# not_features: in the source, and left out.
"""
STYLE: dict[str, Any] = {"allow_unicode": True, "sort_keys": False, "width": 10**9}


def contract(json: bool = False) -> None:
    """Rewrite contract.yaml, and the split, the windows and the model's size in params.yaml."""
    old, params = config.contract(), config.params()
    if not json:
        print(f"contract: reading {params.source}: a minute or so for each gigabyte", flush=True)
    try:
        found = infer.propose(yours.ingest(params.source), old.target, old.time, old.id)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        what = f"{params.source} cannot be read ({' '.join(str(error).split())[:200]})"
        raise config.Problem(f"contract: {what}; see source in params.yaml") from None
    Path("contract.yaml").write_text(text(found, old), encoding="utf-8")
    config.set_params(**found.split, **found.train)
    config.set_params("slo.yaml", **found.drift)
    with contextlib.redirect_stdout(io.StringIO()):
        plan.plan()
    lines = [f"{found.task} task on {found.rows} rows, {len(found.columns)} columns; read contract.yaml", *found.notes]
    lines += [f"left out {name}: {why}" for name, why in found.not_features.items()]
    told = "\n".join(f"contract: {line}" for line in lines)
    print(dumps(asdict(found), ensure_ascii=False) if json else told)


def text(found: infer.Proposal, old: config.Contract) -> str:
    """Return contract.yaml."""
    head = {"dataset": old.dataset, "version": old.version, "task": found.task, "id": found.id, "time": found.time}
    head |= {"target": found.target} | ({"classes": found.classes} if found.classes else {})
    # Quality is promised for each level of the closed lists of at most five.
    slices = [name for name, rules in found.columns.items() if 0 < len(rules.get("levels", [])) <= 5][:3]
    head |= {"unlabelled": found.unlabelled, "quarantine": old.quarantine, "slices": slices}
    head |= {"personal": found.personal} if found.personal else {}  # never kept
    past = {name: feature.model_dump() for name, feature in old.history.items()}
    parts = [head, {"columns": found.columns}, {"history": past, "lead_minutes": old.lead_minutes} if past else {}]
    dumped = [yaml.safe_dump(part, default_flow_style=None, **STYLE) for part in parts if part]
    dumped += [yaml.safe_dump({"not_features": found.not_features}, **STYLE)] if found.not_features else []
    return HEAD + "".join(f"# {' '.join(note.split())}\n" for note in found.notes) + "\n".join(dumped)
