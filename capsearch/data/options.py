"""The keys of a `[data]` table that the house reads, checked; every mistake in one BadRequest."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)

from capsearch.errors import BadRequest
from capsearch.records import Folds
from capsearch.spec.sentences import sentences
from capsearch.tasks.base import Kind

FILES = ("path", "validation_path", "test_path")  # keys of our sources that name files
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
AUTO: Final = "auto"
HELD_OUT = 0.2  # share of the rows that validate, where nothing is said and rows are enough
MOST = 20  # folds, and repeats


def _validation(given: Any) -> Any:
    """A share, folds as a table, or "auto"."""
    if given == AUTO or isinstance(given, Folds):
        return given
    if isinstance(given, int | float) and not isinstance(given, bool) and 0.0 < given < 1.0:
        return float(given)
    if not isinstance(given, Mapping):
        raise ValueError(
            "must be a share of the rows above 0 and below 1, such as 0.2, or folds, such as "
            f"{{ folds = 5, repeats = 1 }}, or 'auto', not {given!r}"
        )
    least = {"folds": 2, "repeats": 1}
    for name, value in given.items():
        if name not in least:
            raise ValueError(f"has no key {name!r}. Legal: folds, repeats")
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least[name] <= value <= MOST:
            raise ValueError(f"{name} must be {least[name]} to {MOST}, not {value!r}")
    return Folds(**given)


def _as_said(asked: Any) -> Any:
    """As a study file has it."""
    folds = isinstance(asked, Folds)
    return {"folds": asked.folds, "repeats": asked.repeats} if folds else asked


Validation = Annotated[
    float | Folds | Literal["auto"], PlainValidator(_validation), PlainSerializer(_as_said)
]
"""How networks are validated: a share of the rows held out, or folds.

"auto" holds out a fifth of the rows, and takes five folds where these would be fewer than 1,000.
"""


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
    validation: Validation = AUTO
    seed: Annotated[int, Field(ge=0)] = 0
    task: Kind | None = None  # None: told by the labels, where they leave no doubt
    labels: Annotated[tuple[Any, ...], BeforeValidator(_labels)] | None = None
    relabel: dict[str, str] = {}  # labels that are read as others: ">50K." as ">50K"
    class_weights: Literal["balanced"] | None = None  # every class counts the same in all
    loss: Literal["squared", "huber"] | None = None  # of a regression; None: squared
    unlabelled: Literal["drop"] | None = None  # rows without a label; None: they are a mistake

    @property
    def shares(self) -> dict[str, float]:
        """Of the splits that are drawn beside the training rows.

        With folds as without: the same rows are for testing, however networks are validated.
        """
        held_out = self.validation if isinstance(self.validation, float) else HELD_OUT
        drawn = {"validation": held_out, "test": getattr(self, "test", 0.0)}
        return {name: share for name, share in drawn.items() if isinstance(share, float) and share}


class SplitOptions(DataOptions):
    """For sources that have no test split of their own. A `test` of 0 leaves it out."""

    test: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2

    @model_validator(mode="after")
    def _leaves_rows_for_training(self) -> Self:
        if sum(self.shares.values()) >= 1.0:
            held_out = self.shares["validation"]
            raise ValueError(
                f"validation ({held_out:g}) and test ({self.test:g}) leave nothing to train on: "
                "their sum must be below 1"
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
    the rows and the identity of the source tell. That there is such a file is part of it. A
    hold-out of a fifth is what "auto" makes of many rows, and is left out, too.
    """
    said = options.model_dump(mode="json", exclude_defaults=True, exclude={"validation"})
    usual = type(options).model_fields["validation"].default
    if options.validation not in ((AUTO, HELD_OUT) if usual == AUTO else (usual,)):
        said["validation"] = _as_said(options.validation)
    return {k: True if k in FILES and k != "path" else v for k, v in said.items() if k != "path"}
