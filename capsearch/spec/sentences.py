"""What is wrong with a table, in words: one line a mistake, with key, value and what is legal."""

import json
from collections.abc import Callable, Collection, Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
KINDS = {"model_type": "a table", "dict_type": "a table", "dataclass_type": "a table"}
KINDS |= {"tuple_type": "a list", "missing": "given"}


def sentences(
    error: ValidationError, keys: Callable[[tuple[Any, ...]], Collection[str]], *table: str
) -> Iterator[str]:
    """'table.key: what is wrong' for each of pydantic's errors. `keys` are legal where one is."""
    for each in error.errors(include_url=False):
        where, kind = ".".join(map(str, (*table, *each["loc"]))), each["type"]
        if kind in UNKNOWN:
            known = keys(each["loc"])
            near = did_you_mean(str(each["loc"][-1]), known, most=1)
            said = f"unknown key.{near} Known: {', '.join(known)}"
        elif kind == "missing":
            said = "is missing"
        elif kind == "value_error":
            said = each["msg"].removeprefix("Value error, ")
        else:
            said = KINDS.get(kind) or each["msg"].replace("Input should be", "").strip()
            said = f"must be {said}, not {_as_toml(each['input'])}"
        yield f"{where}: {said}"


def _as_toml(value: Any) -> str:
    return str(value) if isinstance(value, float) else json.dumps(value, default=str)


def did_you_mean(name: str, known: Collection[str], most: int = 3) -> str:
    """' Did you mean ...?' with the nearest of the known names; empty where none is near."""
    near = get_close_matches(name, known, n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""
