"""Read the three files in which numbers are written: contract.yaml, slo.yaml and params.yaml.

Unknown keys fail with the nearest known key; every error is one line: where, what, the way out.
Needs only PyYAML and pydantic, so that the planner runs before anything else is installed.
"""

import datetime
import difflib
import re
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e12)]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
Port = Annotated[int, Field(ge=1024, le=65535)]
Role = Literal["data", "model", "platform"]
Target = TypeVar("Target")


class Problem(Exception):
    """A mistake that its owner can mend: shown as one line, never as a traceback."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Column(Strict):
    """What a value of one column may be; `nulls` is the largest share that may be missing."""

    type: Literal["string", "integer", "number", "boolean", "datetime", "text"]
    unit: str = ""  # values may come as text that ends in it: "12 kg"
    min: float | None = None
    max: float | None = None
    levels: list[str] | None = None
    max_length: Annotated[int, Field(ge=1, le=2**31)] = 64
    nulls: Share = 0.0


class Encoder(Strict):
    """What turns columns of type text into vectors: its size is told here, as the planner runs before it is there."""

    name: str  # an installed package that carries it, or a folder
    max_tokens: Annotated[int, Field(ge=8, le=8192)]  # of a longer text the rest is not read
    millions: Positive  # of parameters
    tolerance: Share  # so far may an answer differ between batches and between machines


class Past(Strict):
    """A feature: the mean of `of` over the `last` rows with the same `by` whose outcome was known, by `known`."""

    of: str
    by: Annotated[list[str], Field(min_length=1)]
    known: str  # the column that holds when, in UTC
    last: Annotated[int, Field(ge=1, le=1000)]

    @property
    def series(self) -> str:
        """What the store calls its events; a release of another contract does not find them."""
        return f"{self.of} by {', '.join(self.by)}, {self.known}"

    @property
    def mean(self) -> str:
        """The column of the store that holds it; one that was built for another `last` has only the values."""
        return f"mean_{self.last}"


class Contract(Strict):
    """What the data must look like: read by validate, train, service and watch."""

    dataset: str
    version: int
    task: Literal["binary", "multiclass", "regression"]
    id: str | None = None
    time: str | None = None
    target: str
    classes: list[str] = []
    unlabelled: Share = 0.0
    quarantine: Share
    columns: dict[str, Column]
    history: dict[str, Past] = {}
    lead_minutes: Annotated[float, Field(ge=0)] = 0  # a prediction is made so long before the row's time
    not_features: dict[str, str] = {}
    personal: list[str] = []  # dropped when the source is read: in no file, log, metric or image after that
    rules: dict[str, str] = {}  # SQL over the source's columns, for what no single column can say; true is right
    slices: list[str] = []
    encoder: Encoder | None = None

    @property
    def tolerance(self) -> float:
        """How far two answers to one row may lie apart: to the bit the same, but for an encoder's."""
        return self.encoder.tolerance if self.encoder else 0.0

    @property
    def key(self) -> str:
        """The column that tells rows apart; ingest numbers rows that have none."""
        return self.id or "_row"

    @property
    def clock(self) -> str:
        """The column that orders rows; ingest shuffles rows that have none over a year."""
        return self.time or "_when"

    @property
    def several(self) -> int:
        """The number of classes of a multiclass task, else 0."""
        return len(self.classes) if self.task == "multiclass" else 0

    @property
    def row(self) -> list[str]:
        """The columns of a request."""
        return [*self.columns, self.time] if self.time else [*self.columns]

    @property
    def outcomes(self) -> set[str]:
        """The columns of the source from which history is made, beside the contract's own."""
        return {name for past in self.history.values() for name in (past.of, past.known)} - {self.target}


class Objective(Strict, Generic[Target]):
    target: Target
    owner: Role


class Objectives(Strict):
    availability_percent: Objective[Annotated[float, Field(ge=90, lt=100)]]
    latency_p99_ms: Objective[Positive]
    freshness_hours: Objective[Positive]
    model_age_days: Objective[Positive]
    quality_auc: Objective[Annotated[float, Field(gt=0.5, lt=1)]]
    rollback_seconds: Objective[Positive]
    cost_usd_per_1000: Objective[Positive]


class Drift(Strict):
    """What the owner of the model wants to hear of, and how often in vain."""

    false_alarms_per_quarter: Positive
    shift_percent: Annotated[float, Field(ge=1, le=90)]
    within_days: Positive


class Business(Strict):
    metric: str
    right: Positive
    wrong: Positive


class Slo(Strict):
    """What the service promises, to whom, and who answers for it."""

    window_days: Annotated[int, Field(ge=7, le=90)]
    peak_rps: Positive
    owners: dict[Role, str]
    objectives: Objectives
    drift: Drift
    business: Business
    fallback: Literal["baseline", "refuse"] = "baseline"  # when the model cannot answer

    @property
    def latency_s(self) -> float:
        return self.objectives.latency_p99_ms.target / 1000


class Split(Strict):
    """Times are cut points: train < train_until <= evaluate < evaluate_until <= live."""

    train_until: datetime.datetime
    evaluate_until: datetime.datetime


class Gates(Strict):
    leak_auc: Share
    calibration_error: Share
    slice_auc_drop: Share
    champion_auc_drop: Share
    labels_auc_drop: Share


class Watch(Strict, extra="ignore"):
    """How drift is looked for, as it follows from the promises: ops/derived/watch.json."""

    window_days: Positive
    window_rows: int
    confirm_windows: int
    false_alarms_per_window: Positive
    shift: Share
    least_shift: Share


class Ports(Strict):
    """Where the parts of the local stack listen, on loopback only."""

    proxy: Port
    blue: Port
    green: Port
    monitor: Port
    prometheus: Port
    alertmanager: Port
    stats: Port


class Params(Strict):
    """How the model is made, judged and watched."""

    source: str
    rows: Annotated[int, Field(ge=1000, le=10**12)]
    clock: Literal["data", "wall"] | datetime.datetime
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    split: Split
    train: dict[str, float | Whole | str]
    search: dict[str, list[Whole | float]] = {}
    gates: Gates
    ports: Ports


Model = TypeVar("Model", bound=Strict)


def contract(root: Path = Path()) -> Contract:
    found = load(root / "contract.yaml", Contract)
    taken = {found.key, found.clock, found.target}
    _refuse("columns", taken & set(found.columns), "is id, time or target, and no feature; take it out")
    needed = {*found.row, *taken} | found.outcomes
    why = "is needed, so it would be kept; take it out there, or make an own column of it in ingest.py"
    _refuse("personal", needed & set(found.personal), why)
    if (found.task == "multiclass") != (len(found.classes) > 2) or len(found.classes) == 1:
        what = f"classes: {len(found.classes)} do not make a {found.task} task"
        raise Problem(f"contract.yaml: {what}; name all (multiclass), both, the wanted one last (binary), or none")
    _refuse("slices", set(found.slices) - set(found.columns), "is no column; use one of columns")
    texts = {name for name, column in found.columns.items() if column.type == "text"}
    _refuse("columns", set() if found.encoder else texts, "is text, and no encoder reads it; make it a string")
    keys = {name for name, column in found.columns.items() if column.type in ("string", "integer")}
    for name, past in found.history.items():
        where, sent = f"history.{name}", set(found.row)
        if not found.time or name in sent | taken or (found.several and past.of == found.target):
            what = "needs a time, a name of its own, and an outcome that is a number"
            raise Problem(f"contract.yaml: {where}: {what}; mend it, or take it out")
        _refuse(f"{where}.by", set(past.by) - keys, "is no text or integer among columns; use one")
        why = "is sent with the request, so it is no outcome; name what is known later"
        _refuse(where, {past.of, past.known} & sent, why)
    return found


def _refuse(where: str, names: set[str], why: str) -> None:
    if names:
        raise Problem(f"contract.yaml: {where}: {min(names)} {why}")


def slo(root: Path = Path()) -> Slo:
    found = load(root / "slo.yaml", Slo)
    for role in get_args(Role):
        if not found.owners.get(role, "").startswith("@"):
            raise Problem(f"slo.yaml: owners.{role} has no handle; name one, e.g. @org/{role}")
    return found


def params(root: Path = Path()) -> Params:
    found = load(root / "params.yaml", Params)
    if re.search("//[^#]*:[^#]*@|password=", found.source):
        raise Problem("params.yaml: source holds a password; take it out: credentials come from the environment")
    return found


def watch() -> Watch:
    return load(Path("ops/derived/watch.json"), Watch)


def set_params(name: str = "params.yaml", /, **values: object) -> None:
    """Rewrite values of a YAML file, each by the name of its key, and leave all comments as they are."""
    text = (path := Path(name)).read_text(encoding="utf-8")
    for key, value in values.items():
        shown = f'"{value}"' if isinstance(value, str) else str(value).removesuffix(".0")
        # In either quotes, or none: `dvc exp apply` writes the file its own way.
        old = rf"""(?m)^( *){key}: ("[^"]*"|'[^']*'|[^#\n]*[^#\s])"""
        text = re.sub(old, rf"\g<1>{key}: {shown}", text, count=1)
    path.write_text(text, encoding="utf-8")


def load(path: Path, kind: type[Model]) -> Model:
    try:
        return kind.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise Problem(f"{path.name}: not found; run this in the root of the repo") from None
    except yaml.YAMLError as error:
        raise Problem(f"{path.name}: not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise Problem(f"{path.name}: {_explain(error, kind)}") from None


def _explain(error: ValidationError, kind: type[BaseModel]) -> str:
    # An unknown key explains a missing one: say it first.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = ".".join(step for step in map(str, first["loc"]) if not step.startswith("literal[")) or "top level"
    if first["type"] == "extra_forbidden":
        schema = kind.model_json_schema()
        keys = {key for part in [schema, *schema.get("$defs", {}).values()] for key in part.get("properties", {})}
        near = difflib.get_close_matches(str(first["loc"][-1]), sorted(keys), n=1)
        return f"{where} is unknown; " + (f"did you mean {near[0]}?" if near else "remove it")
    value = "" if isinstance(first["input"], dict) else f" is {first['input']!r}"
    return f"{where}{value}: {first['msg'][0].lower()}{first['msg'][1:]}"
