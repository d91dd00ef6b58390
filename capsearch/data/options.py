"""The keys of a `[data]` table that the house reads, checked; every mistake in one BadRequest."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from capsearch.errors import BadRequest
from capsearch.spec.sentences import sentences

FILES = ("path", "validation_path", "test_path")  # keys of our sources that name files
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
TaskKind = Literal["binary", "multiclass", "multilabel", "regression"]


def _labels(given: Any) -> Any:
    """In the order of the classes; of two the negative one first."""
    if not isinstance(given, list | tuple) or len(given) < 2:
        raise ValueError("must be a list of two labels or more, of two the negative one first")
    if not all(isinstance(each, str | bool | int | float) for each in given):
        raise ValueError("must be texts, numbers or booleans")
    if twice := [each for place, each in enumerate(given) if each in given[:place]]:
        raise ValueError(f"{twice[0]!r} is given twice")
    return tuple(given)


Checked = TypeVar("Checked", bound=BaseModel)


class DataOptions(BaseModel):
    """What every source understands. One of ours adds its own keys in a subclass, `Options`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    vocabulary: Annotated[int, Field(ge=1)] = 10_000  # of texts: the most frequent words
    validation: Share = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    task: TaskKind | None = None  # None: told by the labels, where they leave no doubt
    labels: Annotated[tuple[Any, ...], BeforeValidator(_labels)] | None = None
    relabel: dict[str, str] = {}  # labels that are read as others: ">50K." as ">50K"
    class_weights: Literal["balanced"] | None = None  # every class counts the same in all
    loss: Literal["squared", "huber"] | None = None  # of a regression; None: squared
    unlabelled: Literal["drop"] | None = None  # rows without a label; None: they are a mistake

    @property
    def shares(self) -> dict[str, float]:
        """Of the splits that are drawn beside the training rows."""
        drawn = {name: getattr(self, name, 0.0) for name in ("validation", "test")}
        return {name: share for name, share in drawn.items() if isinstance(share, float) and share}


class SplitOptions(DataOptions):
    """For sources that have no test split of their own. A `test` of 0 leaves it out."""

    test: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2

    @model_validator(mode="after")
    def _leaves_rows_for_training(self) -> Self:
        if sum(self.shares.values()) >= 1.0:
            raise ValueError(
                f"validation ({self.validation:g}) and test ({self.test:g}) leave nothing to train "
                "on: their sum must be below 1"
            )
        return self


def check(kind: type[Checked], table: Mapping[str, Any]) -> Checked:
    """The options in a table. Raises BadRequest with every mistake in it."""
    try:
        return kind.model_validate({key: value for key, value in table.items() if key != "source"})
    except ValidationError as error:
        known = ["source", *kind.model_fields]
        raise BadRequest(*sentences(error, lambda _: known, "data")) from error


def question_of(options: DataOptions) -> dict[str, Any]:
    """What the options ask, without those at their default.

    Names of files are left out: files enter a question by their content, which the fingerprints of
    the rows and the identity of the source tell. That there is such a file is part of it.
    """
    said = options.model_dump(mode="json", exclude_defaults=True)
    return {k: True if k in FILES and k != "path" else v for k, v in said.items() if k != "path"}
