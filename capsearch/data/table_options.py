"""The `[data]` table of a source that reads a file with columns: csv and parquet.

How a file is read, what its columns are, and which of them is the target. Whether a named column
exists is seen when the file is read.
"""

import codecs
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from capsearch.data.columns.declared import EVERY, Declared, DeclaredKind
from capsearch.data.options import SplitOptions
from capsearch.data.tables.reading import DELIMITERS, Reading


def _listed(value: Any) -> Any:
    """One value as a list of one; a list of TOML as a tuple."""
    return (
        (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    )


def _by_column(value: Any) -> Any:
    """One value for all columns, or a table of values by column."""
    return value if isinstance(value, Mapping) else {EVERY: value}


def _encoding(name: str) -> str:
    try:
        "".encode(name)  # refuses codecs that are no encodings of text
        return codecs.lookup(name).name
    except (LookupError, UnicodeError, ValueError):
        raise ValueError(f"no encoding {name!r}; such as 'cp1252', 'utf-16' or 'utf-8'") from None


def _delimiter(text: str) -> str:
    if len(text) != 1 or text.isalnum() or text in "\"'\r\n.":
        known = ", ".join(repr(each) for each in DELIMITERS)
        raise ValueError(f"must be one sign between values, such as {known}, not {text!r}")
    return text


def _unambiguous(marks: Mapping[str, str]) -> Mapping[str, str]:
    for name, mark in marks.items():
        if len(mark) > 1 or mark.isalnum() or mark in "+-":
            raise ValueError(f"{name}: must be one sign such as '.' or ',', not {mark!r}")
    return marks


Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_listed)]
Sign = Annotated[dict[str, str], BeforeValidator(_by_column), AfterValidator(_unambiguous)]
Null = Annotated[dict[str, Names], BeforeValidator(_by_column)]


class TableOptions(SplitOptions):
    """What a file with columns needs said of it; everything has a default but `path` and `target`.

    `path` is one file or several with the same columns, as the study file's folder sees them.
    `null`, `decimal` and `thousands` are one value for all columns, or a table by column.
    """

    path: Annotated[Names, Field(min_length=1)]
    validation_path: Names = ()  # rows that are validation rows by themselves
    test_path: Names = ()  # likewise; not looked at before the test split is opened
    target: Annotated[Names, Field(min_length=1)]  # several columns: one label each

    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    header: bool | None = None  # None: there is one, and an error if line 1 looks like values
    names: Names = ()  # of the columns, in place of a header's

    null: Null = Field(default={})
    decimal: Sign = Field(default={})
    thousands: Sign = Field(default={})
    units: dict[str, Name] = Field(default={})
    kinds: dict[str, DeclaredKind] = Field(default={})
    formats: dict[str, Name] = Field(default={})
    keep: Names = ()
    drop: Names = ()

    group: Name | None = None
    time: Name | None = None
    weight: Name | None = None
    split: Name | None = None  # a column of "train", "validation" and "test"

    texts: Literal["multi-hot", "tf-idf"] = "multi-hot"
    rare: Annotated[int, Field(ge=1)] = 10  # training rows that a category or a word must have

    @model_validator(mode="after")
    def _columns_have_one_part(self) -> "TableOptions":
        parts = {"target": self.target, "group": (self.group,), "time": (self.time,)}
        parts |= {"weight": (self.weight,), "split": (self.split,), "drop": self.drop}
        if self.split and (self.validation_path or self.test_path):
            raise ValueError("split: rows are split by a column or by files, not by both")
        seen: dict[str, str] = {}
        for part, names in parts.items():
            for name in names:
                if name is not None and seen.setdefault(name, part) != part:
                    raise ValueError(f"column {name!r} cannot be {seen[name]} and {part}")
        for name in self.decimal:
            if self.decimal[name] == self.thousands.get(name, self.thousands.get(EVERY)):
                raise ValueError(f"decimal and thousands are both {self.decimal[name]!r}")
        if both := sorted({*self.keep} & {*self.drop}):
            raise ValueError(f"column {both[0]!r} cannot be in keep and in drop")
        return self

    def reading(self) -> Reading:
        """How a CSV file is to be read."""
        return Reading(self.delimiter, self.encoding, self.header, self.names)

    def declared(self) -> Declared:
        """What is said of the columns."""
        beside = (*self.target, self.group, self.time, self.weight, self.split)
        return Declared(
            kinds=self.kinds,
            null=self.null,
            decimal=self.decimal,
            thousands=self.thousands,
            units=self.units,
            formats=self.formats,
            keep=frozenset(self.keep),
            drop=frozenset(self.drop),
            beside=frozenset(name for name in beside if name is not None),
        )
