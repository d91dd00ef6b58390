"""A study file, read into a frozen `StudySpec`; every mistake in it is reported together.

The file holds the question: data, space, budget, seeds and rule, all of it hashed into the digest.
Circumstances (where results are kept, which engine, how much to print) are flags of the command
line and never part of it. The `[data]` table belongs to its source: `check_data` judges it.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from capsearch.errors import BadRequest
from capsearch.families.space import Integers, Reals, Space
from capsearch.records import Candidate, StopOn
from capsearch.selection.rules import BYTES, Settings

CheckData = Callable[[Mapping[str, Any]], Sequence[str]]
Optimizer = Literal["adam", "rmsprop", "sgd"]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Table(BaseModel):
    """A table of a study file: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _from(least: int) -> AfterValidator:
    def check(range_: Integers) -> Integers:
        if range_.low < least:
            raise ValueError(f"low ({range_.low}) must be {least} or more")
        return range_

    return AfterValidator(check)


def _dropout(range_: Reals) -> Reals:
    if range_.high >= 1.0:
        raise ValueError(f"high ({range_.high:g}) must be below 1.0")
    return range_


def _rate(range_: Reals) -> Reals:
    if range_.low <= 0.0 or range_.off:
        raise ValueError(f"low ({range_.low:g}) must be above 0, and it cannot be off")
    return range_


class SpaceTable(Table):
    """[space]: the dimensions that are searched."""

    layers: Annotated[Integers, _from(0)]
    units: Annotated[Integers, _from(1)]
    l1: Reals | None = None
    l2: Reals | None = None
    dropout: Annotated[Reals, AfterValidator(_dropout)] | None = None
    learning_rate: Annotated[Reals, AfterValidator(_rate)] | None = None
    batch_size: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    optimizer: Annotated[tuple[Optimizer, ...], Field(min_length=1)] | None = None


class Training(Table):
    """[training]: what is not searched has its value here."""

    optimizer: Optimizer = "adam"
    batch_size: Positive = 512
    learning_rate: Rate = 1e-3
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    dropout: Share = 0.0
    epochs: Positive = 40
    patience: Positive = 4
    stop_on: StopOn = "all"  # "half": one half of the validation rows stops, the other ranks


class Search(Table):
    """[search]: the budget, the rungs it is spread over, how, and the seed of everything."""

    strategy: Literal["ladder", "tpe", "random", "nsga2"] = "ladder"
    trials: Positive = 96
    rungs: Positive = 8
    grow: bool = True  # a ladder's: open no larger rungs once they no longer pay
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _enough(self) -> "Search":
        if self.rungs > self.trials:
            raise ValueError(f"rungs ({self.rungs}) must not be above trials ({self.trials})")
        if self.strategy != "ladder" and "grow" in self.model_fields_set:
            raise ValueError(f'grow is for strategy = "ladder": {self.strategy!r} opens no rungs')
        return self


class Select(Table):
    """[select]: the rule, fresh seeds a finalist, and what the rules are asked.

    `percent` is for pct_loss, `margin` (nats) and `confidence` for non_inferiority, the caps for
    budget. Every report shows every rule that applies, so each has its default.
    """

    rule: Literal["one_std_err", "pct_loss", "non_inferiority", "knee", "budget", "best"] = (
        "one_std_err"
    )
    replicates: Annotated[int, Field(ge=2)] = 5
    percent: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = Settings.percent
    margin: Rate = Settings.margin
    confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = Settings.confidence
    max_parameters: Positive | None = None
    max_bytes: Annotated[int, Field(ge=BYTES)] | None = None

    @model_validator(mode="after")
    def _capped(self) -> "Select":
        if self.rule == "budget" and self.max_parameters is None and self.max_bytes is None:
            raise ValueError("rule 'budget' needs max_parameters or max_bytes")
        return self

    @property
    def settings(self) -> Settings:
        return Settings(**self.model_dump(exclude={"rule", "replicates"}))


class Baseline(Table):
    """[[baseline]]: a named network that every study trains."""

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[\w][\w .+-]*$")]
    units: tuple[Positive, ...]
    l1: NonNegative | None = None
    l2: NonNegative | None = None
    dropout: Share | None = None
    learning_rate: Rate | None = None
    batch_size: Positive | None = None
    optimizer: Optimizer | None = None


def _distinct(baselines: tuple[Baseline, ...]) -> tuple[Baseline, ...]:
    names = [b.name for b in baselines]
    if repeated := sorted({n for n in names if names.count(n) > 1}):
        raise ValueError(f"the name {repeated[0]!r} is given twice")
    return baselines


class StudySpec(Table):
    """A whole study file."""

    data: dict[str, Any]
    space: SpaceTable
    training: Training = Training()
    search: Search = Search()
    select: Select = Select()
    baseline: Annotated[tuple[Baseline, ...], AfterValidator(_distinct)] = ()

    @property
    def question(self) -> dict[str, Any]:
        """Every setting, defaults filled in, as JSON values: what the digest is made from."""
        return self.model_dump(mode="json")

    @property
    def identity(self) -> dict[str, Any]:
        """What of the question is hashed: all that is not at its default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_question(cls, question: Mapping[str, Any]) -> "StudySpec":
        """The spec whose `question` this was."""
        return cls.model_validate(question)

    def fixed(self) -> Candidate:
        """The value of each dimension where the space does not search it."""
        chosen = self.training.model_dump(exclude={"epochs", "patience", "stop_on"})
        return Candidate(units=(), **chosen)

    def space_for(self, features: int) -> Space:
        dimensions = {name: getattr(self.space, name) for name in SpaceTable.model_fields}
        return Space(features=features, fixed=self.fixed(), **dimensions)

    def baselines(self) -> tuple[tuple[str, Candidate], ...]:
        """Each named baseline; what it leaves out is as in [training]."""
        filled = (
            (b.name, b.model_dump(exclude={"name"}, exclude_none=True)) for b in self.baseline
        )
        return tuple(
            (name, Candidate.from_dict(self.fixed().as_dict() | given)) for name, given in filled
        )


def shipped() -> dict[str, Path]:
    """The studies inside the package, by name."""
    folder = Path(str(resources.files("capsearch.studies")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find(name: str) -> Path:
    """`NAME.toml` here, in `./studies`, or in the package; or the path of a study file."""
    if name.endswith(".toml") or "/" in name:
        if not Path(name).is_file():
            raise BadRequest(f"{name}: no such study file")
        return Path(name)
    for path in (Path(f"{name}.toml"), Path("studies") / f"{name}.toml"):
        if path.is_file():
            return path
    names = known()
    if name in names:
        return names[name]
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise BadRequest(f"no study {name!r}.{hint} Known here: {', '.join(sorted(names))}")


def known() -> dict[str, Path]:
    """Every study that can be named here: in this folder, in `./studies`, in the package."""
    return shipped() | {p.stem: p for folder in ("studies", ".") for p in _studies_in(folder)}


def _studies_in(folder: str) -> list[Path]:
    """TOML files that are studies: other tools' TOML files have no [space]."""
    return [p for p in Path(folder).glob("*.toml") if "[space]" in p.read_text(errors="replace")]


def read(path: Path, check_data: CheckData) -> StudySpec:
    """The study in a file. Raises BadRequest with one line a mistake, all of them at once."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadRequest(f"{path}: not valid TOML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path}: cannot be read: {error}") from error
    mistakes, spec = list(_data_mistakes(table, check_data)), None
    try:
        spec = StudySpec.model_validate(table)
    except ValidationError as error:
        mistakes += [line for each in error.errors() for line in _sentences(each)]
    if mistakes or spec is None:
        raise BadRequest(*(f"{path}: {line}" for line in dict.fromkeys(mistakes)))
    return spec


def _data_mistakes(table: Mapping[str, Any], check_data: CheckData) -> Sequence[str]:
    data = table.get("data")
    if not isinstance(data, dict):
        return []  # pydantic says that the table is missing or no table
    if not isinstance(data.get("source"), str):
        return ["data.source: must name a data source, such as 'imdb'"]
    return check_data(data)


def _sentences(error: Any) -> list[str]:
    """One of pydantic's errors as lines of 'table.key: what is wrong', naming the value."""
    where = ".".join(str(part) for part in error["loc"] if not _is_class_name(part))
    text: str = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return [f"{where}: is missing"]
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return [f"{where}: unknown key. {_legal_keys(error['loc'])}"]
    if error["type"] == "value_error":
        return [f"{where}: {text}"]
    return [f"{where}: {text.replace('Input should', 'must')}, not {error['input']!r}"]


def _legal_keys(location: Sequence[Any]) -> str:
    """Which keys the table at `location` knows; the nearest first when one is near."""
    tables: dict[str, Any] = {
        "space": SpaceTable, "training": Training, "search": Search,
        "select": Select, "baseline": Baseline,
    }  # fmt: skip
    known = list(StudySpec.model_fields)
    if len(location) > 1 and location[0] in tables:
        known = list(tables[location[0]].model_fields)
    if location[0] == "space" and len(location) > 2:
        known = ["low", "high", "log", "off"]
    near = get_close_matches(str(location[-1]), known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return f"{hint}Known: {', '.join(known)}"


def _is_class_name(part: Any) -> bool:
    """Union members that pydantic puts into the path of an error, such as 'Reals'."""
    return isinstance(part, str) and part in ("Reals", "Integers")
