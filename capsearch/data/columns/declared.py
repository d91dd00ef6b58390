"""What is known of a column: what a person declared, and what was found."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

Kind = Literal["number", "boolean", "category", "date", "text", "constant", "id"]
DeclaredKind = Literal["number", "boolean", "category", "date", "text"]
KINDS: tuple[DeclaredKind, ...] = get_args(DeclaredKind)
EVERY = "*"  # in place of a column's name: all columns that are not named


@dataclass(frozen=True)
class Column:
    """A column, its kind, and how its values are read. Those not `used` are left out.

    `format` is the format of dates ("ISO 8601", or one in the notation of strptime). `decimal`,
    `thousands` and `unit` are signs in numbers. `null` are the texts, beside the empty one, that
    stand for a missing value. `note` says what a person should look at; nothing depends on it.
    """

    name: str
    kind: Kind
    why: str
    missing: int
    examples: tuple[str, ...] = ()  # at most 3
    format: str | None = None
    used: bool = True
    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    null: tuple[str, ...] = ()
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        lists = {name: tuple(told[name]) for name in ("examples", "null") if name in told}
        return cls(**{**told, **lists})


@dataclass(frozen=True)
class Declared:
    """What a person wrote about columns in [data].

    `null`, `decimal` and `thousands` go by column; what stands under "*" is for all columns that
    are not named. `beside` are columns that no network sees, such as the target.
    """

    kinds: Mapping[str, DeclaredKind] = field(default_factory=dict)
    null: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decimal: Mapping[str, str] = field(default_factory=dict)
    thousands: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    keep: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()

    def null_of(self, name: str) -> tuple[str, ...]:
        """The texts that stand for a missing value in a column, beside the empty one."""
        return self.null.get(name, self.null.get(EVERY, ()))

    def decimal_of(self, name: str) -> str:
        return self.decimal.get(name, self.decimal.get(EVERY, "."))

    def thousands_of(self, name: str) -> str:
        return self.thousands.get(name, self.thousands.get(EVERY, ""))

    def named(self) -> Iterable[tuple[str, str]]:
        """Every (key of [data], feature) that is spoken of, to find those that do not exist."""
        tables = ("kinds", "null", "decimal", "thousands", "units", "formats", "keep", "drop")
        for key in tables:
            named = {*getattr(self, key)} - {EVERY} - self.beside
            yield from ((key, name) for name in sorted(named))
