"""The `[data]` table of a built-in source, checked; every mistake in one BadRequest."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from capsearch.errors import BadRequest

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Options(BaseModel):
    """What every text source understands."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    vocabulary: Annotated[int, Field(ge=1)] = 10_000
    validation: Share = 0.2
    seed: Annotated[int, Field(ge=0)] = 0

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Self:
        try:
            return cls.model_validate(dict(table))
        except ValidationError as error:
            raise BadRequest(*(cls._sentence(each) for each in error.errors())) from error

    @classmethod
    def _sentence(cls, error: Any) -> str:
        key = ".".join(["data", *map(str, error["loc"])])
        if error["type"] == "extra_forbidden":
            known = list(cls.model_fields)
            near = get_close_matches(str(error["loc"][-1]), known, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            return f"{key}: unknown key. {hint}Known: source, {', '.join(known)}"
        text = error["msg"].removeprefix("Value error, ").replace("Input should", "must")
        return (
            f"{key}: {text}"
            if error["type"] == "value_error"
            else (f"{key}: {text}, not {error['input']!r}")
        )


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
