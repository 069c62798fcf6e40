"""Propose contract.yaml from the data itself: `make contract`; say what a change of it breaks: `make contract-diff`."""

import contextlib
import io
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import yaml

from .. import ingest as yours
from . import config, infer, plan, releases

HEAD = """\
# What the data must look like. One file, read by ingest, validate, train, service and watch.
# type: string | text | integer | number | boolean | datetime. nulls: the largest share that may be missing (or 0).
# not_features: in the source, and left out.
"""
STYLE: dict[str, Any] = {"allow_unicode": True, "sort_keys": False, "width": 10**9}


def contract(json: bool = False) -> None:
    """Rewrite contract.yaml, and the split, the windows and the model's size in params.yaml."""
    old, params = config.contract(), config.params()
    if not json:
        print(f"contract: reading {params.source}: a minute or so for each gigabyte", flush=True)
    try:
        found = infer.propose(yours.ingest(params.source), old.target, old.time, old.id, bool(old.encoder))
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
    parts += [{"encoder": old.encoder.model_dump()}] if old.encoder else []
    dumped = [yaml.safe_dump(part, default_flow_style=None, **STYLE) for part in parts if part]
    dumped += [yaml.safe_dump({"not_features": found.not_features}, **STYLE)] if found.not_features else []
    return HEAD + "".join(f"# {' '.join(note.split())}\n" for note in found.notes) + "\n".join(dumped)


class Change(NamedTuple):
    """One difference; `breaks` if a request that was right before would be refused, or mean something else."""

    what: str
    breaks: bool


def contract_diff() -> None:
    """Print how contract.yaml differs from the newest release's; refuse a breaking change under the same version."""
    old, new = config.contract(releases.source(releases.newest())), config.contract()
    found = changes(old, new)
    for change in found:
        print(f"contract-diff: {'BREAKS  ' if change.breaks else 'harmless'}  {change.what}")
    versions = f"version {old.version} -> {new.version}"
    print(f"contract-diff: {len(found)} changes since release {releases.newest()}, {versions}")
    check(old, new)


def check(old: config.Contract, new: config.Contract) -> None:
    """Refuse a breaking change that keeps the version."""
    breaking = [change.what for change in changes(old, new) if change.breaks]
    if breaking and new.version <= old.version:
        what = f"{breaking[0]}" + (f" (and {len(breaking) - 1} more)" if breaking[1:] else "")
        raise config.Problem(f"contract.yaml: version is {new.version}, but {what}; raise it to {old.version + 1}")


def changes(old: config.Contract, new: config.Contract) -> list[Change]:
    """Return every difference that a request or an answer can feel, and the rest in one line each."""
    breaking = dict.fromkeys(("task", "target", "classes", "time"), True)
    found = _differ("", old, new, breaking | dict.fromkeys(("id", "unlabelled", "quarantine", "slices"), False))
    was, now = set(old.columns), set(new.columns)
    found += [Change(f"column {name} is gone: requests that carry it are refused", True) for name in sorted(was - now)]
    found += [Change(f"column {name} is new: requests that lack it are refused", True) for name in sorted(now - was)]
    return found + [each for name in sorted(was & now) for each in _column(name, old.columns[name], new.columns[name])]


def _column(name: str, old: config.Column, new: config.Column) -> list[Change]:
    if (old.type, old.unit) != (new.type, new.unit):
        before, after = (f"{column.type} {column.unit}".strip() for column in (old, new))
        return [Change(f"column {name}: {before} -> {after}", True)]
    gone, come = (sorted(set(a or []) - set(b or [])) for a, b in ((old.levels, new.levels), (new.levels, old.levels)))
    breaking = {"max_length": new.max_length < old.max_length, "nulls": old.nulls > 0 == new.nulls}
    breaking["min"] = new.min is not None and (old.min is None or new.min > old.min)
    breaking["max"] = new.max is not None and (old.max is None or new.max < old.max)
    found = _differ(f"column {name}: ", old, new, breaking)
    if gone or come:
        narrower = bool(new.levels and (gone or not old.levels))
        found.append(Change(f"column {name}: levels: without {gone or 'none'}, with {come or 'none'}", narrower))
    return found


def _differ(where: str, old: config.Strict, new: config.Strict, breaking: dict[str, bool]) -> list[Change]:
    """Return a change for each of these keys that has another value."""
    values = [(key, getattr(old, key), getattr(new, key)) for key in breaking]
    return [Change(f"{where}{key}: {was} -> {now}", breaking[key]) for key, was, now in values if was != now]
