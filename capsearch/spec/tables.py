"""The tables of a study file, and `StudySpec`: all of them, checked and frozen.

What the file says is hashed into the study's digest, so where results are kept, which engine trains
and how much is printed are flags of the command line and never stand here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import to_json

from capsearch import initialization
from capsearch.errors import BadRequest
from capsearch.families import dense
from capsearch.families.dimension import STRICT, Choices, Dimension, one_of
from capsearch.families.space import Space
from capsearch.records import Candidate, DataProfile, StopOn
from capsearch.selection import JUDGES, RULES, Judge, Settings
from capsearch.selection.judge import LOG_LOSS
from capsearch.spec.strategies import STRATEGIES
from capsearch.spec.values import decoded, encoded
from capsearch.tasks import task_of
from capsearch.tasks.base import MARGIN_SHARE

RULE = "probably_good"
Positive = Annotated[int, Field(ge=1)]
T = TypeVar("T", bound=BaseModel)


class Table(BaseModel):
    """A table of a study file: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _named_in(known: Collection[str]) -> AfterValidator:
    return AfterValidator(Dimension("", "", choices=known).legal)


def _value(dimension: Dimension) -> Any:
    return Annotated[dimension.kind, AfterValidator(dimension.legal)]


def _range(dimension: Dimension) -> Any:
    kind: Any = dimension.range
    if kind is Choices:
        kind = tuple[dimension.kind, ...]  # type: ignore[name-defined] # a type made here
    return Annotated[kind, AfterValidator(dimension.searched)]


def described(
    dimensions: Sequence[Dimension], field: Callable[[Dimension], tuple[Any, Any]]
) -> Callable[[type[T]], type[T]]:
    """Give a table one more key for each of the dimensions: a type and a default."""

    def extend(table: type[T]) -> type[T]:
        more: dict[str, Any] = {d.name: field(d) for d in dimensions}
        return create_model(
            table.__name__,
            __base__=table,
            __doc__=table.__doc__,
            __module__=table.__module__,
            **more,
        )

    return extend


@described(dense.SETTINGS, lambda d: (_range(d) | None, None))
@described((dense.LAYERS, dense.UNITS), lambda d: (_range(d), ...))
class SpaceTable(Table):
    """[space]: the range of each dimension that is searched."""


@described(dense.SETTINGS, lambda d: (_value(d) | None if d.by_rows else _value(d), d.unsaid))
class Training(Table):
    """[training]: the value of each setting that is not searched, and how long is trained."""

    epochs: Positive = 40
    patience: Positive = 4
    stop_on: StopOn = "all"  # "half": one half of the validation rows stops, the other ranks


class Search(Table):
    """[search]: the budget, the rungs it is spread over, how, and the seed of everything."""

    strategy: Annotated[str, _named_in(STRATEGIES)] = "ladder"
    trials: Positive = 96
    rungs: Positive = 8
    grow: bool = True  # a ladder's: open no larger rungs once they no longer pay
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _enough(self) -> "Search":
        if self.rungs > self.trials:
            raise ValueError(f"rungs ({self.rungs}) must not be above trials ({self.trials})")
        if "grow" in self.model_fields_set and not STRATEGIES[self.strategy].by_rung:
            growing = one_of([name for name, each in STRATEGIES.items() if each.by_rung])
            raise ValueError(f"grow is for strategy = {growing}: {self.strategy!r} opens no rungs")
        return self


@dataclass(frozen=True, config=STRICT)
class Select(Settings):
    """[select]: the rule, fresh seeds a finalist, and what the rules are asked.

    Every report shows every rule that applies, so each setting has a default; that of `margin` is a
    share of what an answer that looks at no row gives (`blind_score`), in the unit of `judge`.
    `probably_good` asks for up to four times as many `replicates` of the networks that can still
    decide.
    """

    margin: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None  # type: ignore[assignment]
    rule: Annotated[str, _named_in(RULES)] | None = None  # by this version: RULE
    judge: Annotated[str, _named_in(JUDGES)] = LOG_LOSS  # what networks are compared by
    replicates: Annotated[int, Field(ge=2)] = 5

    def __post_init__(self) -> None:
        if self.rule == "budget" and self.max_parameters is None and self.max_bytes is None:
            raise ValueError("rule 'budget' needs max_parameters or max_bytes")

    @property
    def settings(self) -> Settings:
        """What the rules are asked, without the rule that is to choose.

        Raises ValueError before the margin is known (`StudySpec.for_data`).
        """
        if self.margin is None:
            raise ValueError("the margin follows from the data, which are not read yet")
        return Settings(**{field.name: getattr(self, field.name) for field in fields(Settings)})


@described(dense.SETTINGS, lambda d: (_value(d) | None, None))
class Baseline(Table):
    """[[baseline]]: a named network that every study trains."""

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[\w][\w .+-]*$")]
    units: tuple[Annotated[int, AfterValidator(dense.UNITS.legal)], ...]


def blind_score(data: DataProfile, judge: Judge) -> float:
    """What the best answer that looks at no row gives on validation rows, in the judge's unit.

    By hand: a quarter positive, -(0.25 ln 0.25 + 0.75 ln 0.75) = 0.5623 by log loss, 0.25 by error.
    Raises BadRequest for a judge that is not for this task.
    """
    statistics, task = data.statistics(data.judged), task_of(data.task)
    if judge.noun == JUDGES[LOG_LOSS].noun:
        return task.blind_loss_of(statistics)
    if task.kind != "binary" or data.counts_differ or data.averaged:
        raise BadRequest(
            "select.judge: 0-1 error and Brier score are for two classes whose rows all count "
            "alike, and are judged once. Legal here: 'log_loss'"
        )
    return judge.blind(statistics[0])


def _distinct(baselines: tuple[Baseline, ...]) -> tuple[Baseline, ...]:
    names = [b.name for b in baselines]
    if repeated := sorted({n for n in names if names.count(n) > 1}):
        raise ValueError(f"the name {repeated[0]!r} is given twice")
    return baselines


class StudySpec(Table):
    """A whole study file. The [data] table is its source's, and is not looked into."""

    data: dict[str, Any]
    space: SpaceTable
    training: Training = Training()
    search: Search = Search()
    select: Select = Select()
    baseline: Annotated[tuple[Baseline, ...], AfterValidator(_distinct)] = ()

    @property
    def question(self) -> dict[str, Any]:
        """Every setting, defaults filled in, as JSON values: `from_question` reads it back."""
        said = self.model_dump(mode="json", by_alias=True) | {"data": encoded(self.data)}
        if not STRATEGIES[self.search.strategy].by_rung:
            del said["search"]["grow"]  # which may not be said of them
        return said

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """A study file's content. Raises pydantic's ValidationError.

        Checked as JSON: there pydantic can be strict and still take a list for a tuple. So true is
        no number, and neither is "8".
        """
        data = table.get("data")
        said = {**table, "data": {}} if isinstance(data, dict) else table
        spec = cls.model_validate_json(to_json(said, inf_nan_mode="constants"), strict=True)
        return spec.model_copy(update={"data": data})

    @classmethod
    def from_question(cls, question: Mapping[str, Any]) -> Self:
        """The same study, with the defaults that it was begun with."""
        return cls.of({**question, "data": decoded(question["data"])})

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this study from every other, as JSON values: what a digest is made from.

        Without what is at its default, so that saying a default in the file, a new setting with a
        default, and a setting that is renamed (with its old name as alias) change no digest.
        """
        said = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        usual = self._usual.items()
        baselines = [
            {name: value for name, value in each.items() if (name, value) not in usual}
            for each in said.get("baseline", ())
        ]
        return said | {"data": encoded(self.data), "baseline": baselines}

    def fixed(self) -> Candidate:
        """The value of each setting where the space does not search it."""
        return dense.candidate_of((), _given(self.training, dense.SETTINGS))

    def space_for(self, features: int, outputs: int = 1) -> Space:
        """The space of networks for rows of so many features, with so many outputs."""
        searched = _given(self.space, dense.dimensions())
        layers, units = (searched.pop(d.name) for d in (dense.LAYERS, dense.UNITS))
        return Space(features, self.fixed(), layers, units, searched, outputs)

    def for_data(self, data: DataProfile, *, sparse: bool) -> Self:
        """The same study with each setting that follows from the data filled in.

        Raises BadRequest for what cannot be asked of such data.
        """
        if data.folds is not None and self.training.stop_on == "half":
            raise BadRequest(
                "training.stop_on: 'half' is for rows that are held out, and these are judged in "
                "folds. Legal here: 'all'; or write a share such as validation = 0.2 in [data]"
            )
        suited = {"initialization": initialization.for_rows(sparse=sparse)}
        said = _given(self.training, dense.SETTINGS) | _given(self.space, dense.SETTINGS)
        filled = {name: value for name, value in suited.items() if name not in said}
        training = self.training.model_copy(update=filled)
        blind = blind_score(data, JUDGES[self.select.judge])
        margin = self.select.margin or float(f"{MARGIN_SHARE * blind:.3g}")
        select = replace(self.select, margin=margin, rule=self.select.rule or RULE)
        return self.model_copy(update={"training": training, "select": select})

    @property
    def _usual(self) -> dict[str, Any]:
        """What a baseline has where it says nothing: it begins as Keras does, being a recipe's."""
        by_rows = {d.name: d.default for d in dense.SETTINGS if d.by_rows}
        return dense.settings_of(self.fixed()) | by_rows

    def baselines(self) -> tuple[tuple[str, Candidate], ...]:
        """Each named baseline; what it leaves out is as in [training], but for `by_rows`."""
        return tuple(
            (b.name, dense.candidate_of(b.units, self._usual | _given(b, dense.SETTINGS)))
            for b in self.baseline
        )


def _given(table: Table, dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """What a table says of these, by name."""
    said = ((d.name, getattr(table, d.name)) for d in dimensions)
    return {name: value for name, value in said if value is not None}
