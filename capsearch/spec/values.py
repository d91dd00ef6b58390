"""What a TOML table can hold, as JSON values that any parser reads, and back: nothing is lost.

JSON has no dates, no times, no NaN and no infinity. Such a value becomes a table with a single key
that begins with `$`; a table that looks like one of those is wrapped.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from math import isfinite
from typing import Any

READERS: dict[str, Callable[[Any], Any]] = {
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$float": float,
    "$table": lambda table: {key: decoded(value) for key, value in table.items()},
}


def encoded(value: Any) -> Any:
    """A value of a TOML file as JSON."""
    match value:
        case Mapping():
            table = {key: encoded(each) for key, each in value.items()}
            return {"$table": table} if _marked(table) else table
        case list() | tuple():
            return [encoded(each) for each in value]
        case datetime() | date() | time():
            return {f"${type(value).__name__}": value.isoformat()}
        case float() if not isfinite(value):
            return {"$float": str(value)}
    return value


def decoded(value: Any) -> Any:
    """What `encoded` was given."""
    match value:
        case Mapping() if _marked(value):
            ((mark, content),) = value.items()
            return READERS[mark](content)
        case Mapping():
            return {key: decoded(each) for key, each in value.items()}
        case list():
            return [decoded(each) for each in value]
    return value


def _marked(table: Mapping[str, Any]) -> bool:
    return len(table) == 1 and table.keys() <= READERS.keys()
