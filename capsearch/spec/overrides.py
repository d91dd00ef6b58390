"""`-o table.key=value`: keys of a study file that the command line says, as if written there.

A file that is named on a command line lies where the command runs, as everywhere in a shell; one
that is named in a study file lies beside that. So names of files are made absolute here.
"""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsearch.errors import BadRequest

FILES = (("data", "path"), ("data", "validation_path"), ("data", "test_path"))


def apply(table: dict[str, Any], said: Sequence[str]) -> None:
    """Write each 'table.key=value' into the table of a study file; the last one of a key counts.

    A value is read as TOML, and as text where it is none, as in `-o data.path=a.csv`. The nth
    baseline is `baseline.N`, from 0. Raises BadRequest with every mistake.
    """
    mistakes = []
    for each in said:
        name, equals, text = each.partition("=")
        keys = name.strip().split(".")
        if not equals or len(keys) < 2 or not all(keys):
            mistakes.append(f"-o {each}: must be TABLE.KEY=VALUE, such as data.path=FILE")
            continue
        try:
            _put(table, keys, _value(tuple(keys), text))
        except (KeyError, IndexError, TypeError, ValueError):
            mistakes.append(f"-o {each}: {'.'.join(keys[:-1])} is no table of the study file")
    if mistakes:
        raise BadRequest(*mistakes)


def placed(said: str) -> str:
    """The same for a command that runs in another folder."""
    name, _, text = said.partition("=")
    keys = tuple(name.strip().split("."))
    return f"{name}={json.dumps(_value(keys, text))}" if keys in FILES else said


def _put(table: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    place: Any = table
    for key in keys[:-1]:
        place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
    if not isinstance(place, dict):
        raise TypeError
    place[keys[-1]] = value


def _value(keys: tuple[str, ...], text: str) -> Any:
    try:
        read = tomllib.loads(f"value = {text}")
        value = read["value"] if len(read) == 1 else text
    except tomllib.TOMLDecodeError:
        value = text
    return _absolute(value) if keys in FILES else value


def _absolute(value: Any) -> Any:
    if isinstance(value, list):
        return [_absolute(each) for each in value]
    return str(Path(value).absolute()) if isinstance(value, str) else value
