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
    gone, come = (sorted(set(a or []) - set(b or [])) for a, b in ((old.levels, new.levels), (new.levels, old.levels)))
    breaking = {
        "min": new.min is not None and (old.min is None or new.min > old.min),
        "max": new.max is not None and (old.max is None or new.max < old.max),
        "max_length": new.max_length < old.max_length,
        "nulls": old.nulls > 0 == new.nulls,
    }
    found = _differ(f"column {name}: ", old, new, breaking)
    if gone or come:
        narrower = bool(new.levels and (gone or not old.levels))
        found.append(Change(f"column {name}: levels: without {gone or 'none'}, with {come or 'none'}", narrower))
    return found


def _differ(where: str, old: config.Strict, new: config.Strict, breaking: dict[str, bool]) -> list[Change]:
    """Return a change for each of these keys that has another value."""
    values = [(key, getattr(old, key), getattr(new, key)) for key in breaking]
    return [Change(f"{where}{key}: {was} -> {now}", breaking[key]) for key, was, now in values if was != now]
