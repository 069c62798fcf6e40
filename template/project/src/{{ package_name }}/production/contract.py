"""Propose contract.yaml, the split and the windows of drift from the data itself: `make contract`."""

import contextlib
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from .. import ingest as yours
from . import config, infer, plan

HEAD = """\
# What the data must look like. One file, read by ingest, validate, train, service and watch.
# type: string | integer | number | boolean | datetime. nulls: the largest share that may be missing (0 if absent).
"""


def contract(json: bool = False) -> None:
    """Rewrite contract.yaml, and the split, the windows and the model's size in params.yaml."""
    old, params = config.contract(), config.params()
    if not json:
        print(f"contract: reading {params.source}: a minute or so for each gigabyte", flush=True)
    try:
        found = infer.propose(yours.ingest(params.source), old.target, old.time, old.id)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())[:200]
        raise config.Problem(
            f"contract: {params.source} cannot be read ({reason}); see source in params.yaml"
        ) from None
    Path("contract.yaml").write_text(text(found, old), encoding="utf-8")
    config.set_params(**found.split, **found.train)
    config.set_params("slo.yaml", **found.drift)
    with contextlib.redirect_stdout(io.StringIO()):
        plan.plan()
    print(told(found, json))


def text(found: infer.Proposal, old: config.Contract) -> str:
    """Return contract.yaml."""
    head = {"dataset": old.dataset, "version": old.version, "task": found.task, "id": found.id, "time": found.time}
    head |= {"target": found.target} | ({"classes": found.classes} if found.classes else {})
    head |= {"unlabelled": found.unlabelled, "quarantine": old.quarantine, "slices": _slices(found)}
    head |= {"personal": found.personal} if found.personal else {}  # never kept
    notes = [f"# {' '.join(note.split())}\n" for note in found.notes]
    lines = [HEAD, *notes, *(_flow({key: value}) for key, value in head.items())]
    lines += ["\ncolumns:\n", *(f"  {_flow({name: rules})}" for name, rules in found.columns.items())]
    if old.history:
        lines += ["\nhistory:\n", *(f"  {_flow({name: past.model_dump()})}" for name, past in old.history.items())]
        lines.append(_flow({"lead_minutes": old.lead_minutes}))
    left_out = [f"  {_flow({name: why})}" for name, why in found.not_features.items()]
    return "".join([*lines, *(["\nnot_features: # in the source, and left out\n", *left_out] if left_out else [])])


def told(found: infer.Proposal, as_json: bool) -> str:
    """Return the proposal for a person, or as JSON."""
    if as_json:
        return json.dumps(asdict(found), ensure_ascii=False)
    lines = [f"{found.task} task on {found.rows} rows, {len(found.columns)} columns; read contract.yaml", *found.notes]
    lines += [f"left out {name}: {why}" for name, why in found.not_features.items()]
    return "\n".join(f"contract: {line}" for line in lines)


def _slices(found: infer.Proposal) -> list[str]:
    """Quality is promised for each level of the closed lists of at most five."""
    return [name for name, rules in found.columns.items() if 0 < len(rules.get("levels", [])) <= 5][:3]


def _flow(data: dict[str, Any]) -> str:
    """Return one line of YAML, whatever the name and what it stands for hold."""
    style: dict[str, Any] = {"allow_unicode": True, "sort_keys": False, "width": 10**9}
    dumped = str(yaml.safe_dump(data, default_flow_style=True, **style))
    if dumped.startswith("{? "):  # YAML's form of an empty, long or broken key, which is more than a line
        ((name, value),) = data.items()
        quoted = str(yaml.safe_dump(name, default_style='"', **style)).strip()
        dumped = "{" + quoted + str(yaml.safe_dump({"x": value}, default_flow_style=True, **style))[2:]
    return dumped.strip()[1:-1] + "\n"
