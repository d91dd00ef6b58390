"""The `[data]` table of a built-in source, checked; every mistake in one BadRequest."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from capsearch.errors import BadRequest
from capsearch.spec.sentences import sentences

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Options(BaseModel):
    """What every text source understands."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    vocabulary: Annotated[int, Field(ge=1)] = 10_000
    validation: Share = 0.2
    seed: Annotated[int, Field(ge=0)] = 0

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Self:
        """The options in a table. Raises BadRequest with every mistake in it."""
        try:
            return cls.model_validate(dict(table))
        except ValidationError as error:
            known = ["source", *cls.model_fields]
            raise BadRequest(*sentences(error, lambda _: known, "data")) from error


class SplitOptions(Options):
    """For sources without a test split of their own."""

    test: Share = 0.2

    @model_validator(mode="after")
    def _leaves_rows_for_training(self) -> Self:
        if self.validation + self.test >= 1.0:
            raise ValueError(
                f"validation ({self.validation:g}) and test ({self.test:g}) leave nothing to train "
                "on: their sum must be below 1"
            )
        return self


def stated(source: object, table: Mapping[str, Any]) -> dict[str, Any]:
    """A [data] table as a study's identity holds it: without options at their default.

    Only a built-in `source` tells its defaults; the table of any other is taken as it was given.
    """
    options = getattr(source, "options", None)
    if not isinstance(options, Options):
        return dict(table)
    return {"source": table["source"]} | options.model_dump(exclude_defaults=True)
