"""What a change of contract.yaml means to those who send requests: `make contract-diff`."""

from typing import NamedTuple

from . import config, releases


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
    print(
        f"contract-diff: {len(found)} changes since release {releases.newest()}, version {old.version} -> {new.version}"
    )
    check(old, new)


def check(old: config.Contract, new: config.Contract) -> None:
    """Refuse a breaking change that keeps the version."""
    breaking = [change.what for change in changes(old, new) if change.breaks]
    if breaking and new.version <= old.version:
        what = f"{breaking[0]}" + (f" (and {len(breaking) - 1} more)" if breaking[1:] else "")
        raise config.Problem(f"contract.yaml: version is {new.version}, but {what}; raise it to {old.version + 1}")


def changes(old: config.Contract, new: config.Contract) -> list[Change]:
    """Return every difference that a request or an answer can feel, and the rest in one line each."""
    found = []
    for name in ("task", "target", "classes", "time"):
        if getattr(old, name) != getattr(new, name):
            found.append(Change(f"{name}: {getattr(old, name)} -> {getattr(new, name)}", True))
    for name in ("id", "unlabelled", "quarantine", "slices"):
        if getattr(old, name) != getattr(new, name):
            found.append(Change(f"{name}: {getattr(old, name)} -> {getattr(new, name)}", False))
    for name in [*old.columns, *(name for name in new.columns if name not in old.columns)]:
        if name not in new.columns:
            found.append(Change(f"column {name} is gone: requests that carry it are refused", True))
        elif name not in old.columns:
            found.append(Change(f"column {name} is new: requests that lack it are refused", True))
        else:
            found += _column(name, old.columns[name], new.columns[name])
    return found


def _column(name: str, old: config.Column, new: config.Column) -> list[Change]:
    if (old.type, old.unit) != (new.type, new.unit):
        before, after = (f"{column.type} {column.unit}".strip() for column in (old, new))
        return [Change(f"column {name}: {before} -> {after}", True)]
    inf = float("inf")
    low = (-inf if old.min is None else old.min, -inf if new.min is None else new.min)
    high = (inf if old.max is None else old.max, inf if new.max is None else new.max)
    found = [(f"min {old.min} -> {new.min}", low[1] > low[0], low[0] != low[1])]
    found.append((f"max {old.max} -> {new.max}", high[1] < high[0], high[0] != high[1]))
    found.append((f"max_length {old.max_length} -> {new.max_length}", new.max_length < old.max_length,
                  new.max_length != old.max_length))  # fmt: skip
    found.append((f"may be missing {old.nulls:g} -> {new.nulls:g}", old.nulls > 0 == new.nulls, old.nulls != new.nulls))
    gone, come = (sorted(set(a or []) - set(b or [])) for a, b in ((old.levels, new.levels), (new.levels, old.levels)))
    narrower = bool(new.levels) and (not old.levels or bool(gone))
    found.append((f"levels: without {gone or 'none'}, with {come or 'none'}", narrower, bool(gone or come)))
    return [Change(f"column {name}: {what}", breaks) for what, breaks, differs in found if differs]
