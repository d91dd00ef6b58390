"""Study files: how one is found by its name, and read with every mistake in it."""

import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from capsearch.errors import BadRequest
from capsearch.families import dense
from capsearch.spec import overrides
from capsearch.spec.sentences import did_you_mean, sentences
from capsearch.spec.tables import Baseline, Search, Select, SpaceTable, StudySpec, Training

CheckData = Callable[[Mapping[str, Any]], Sequence[str]]
TABLES: dict[str, Any] = {
    "space": SpaceTable,
    "training": Training,
    "search": Search,
    "select": Select,
    "baseline": Baseline,
}


def shipped() -> dict[str, Path]:
    """The studies inside the package, by name."""
    folder = Path(str(resources.files("capsearch.studies")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find(name: str) -> Path:
    """`NAME.toml` here, in `./studies`, or in the package; or the path of a study file."""
    if name.endswith(".toml") or "/" in name:
        if not _is_file(Path(name)):
            raise BadRequest(f"{name}: no such study file")
        return Path(name)
    for path in (Path(f"{name}.toml"), Path("studies") / f"{name}.toml"):
        if _is_file(path):
            return path
    names = known()
    if name in names:
        return names[name]
    near = did_you_mean(name, names)
    raise BadRequest(f"no study {name!r}.{near} Known here: {', '.join(sorted(names))}")


def known() -> dict[str, Path]:
    """Every study that can be named here: in this folder, in `./studies`, in the package."""
    return shipped() | {p.stem: p for folder in ("studies", ".") for p in _studies_in(folder)}


def _studies_in(folder: str) -> list[Path]:
    """TOML files that are studies: other tools' have no [space]. What cannot be read is none."""
    found = list[Path]()
    with suppress(OSError):
        for path in sorted(Path(folder).iterdir()):
            with suppress(OSError):
                if path.suffix == ".toml" and path.is_file() and b"[space]" in path.read_bytes():
                    found.append(path)
    return found


def _is_file(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.is_file()
    return False


def read(path: Path, check_data: CheckData, said: Sequence[str] = ()) -> StudySpec:
    """The study in a file. Raises BadRequest with one line a mistake, all of them at once.

    Args:
        path: of the file.
        check_data: what is wrong with its [data].
        said: 'table.key=value' each: as if written in the file.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise BadRequest(f"{path}: not valid TOML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path}: cannot be read: {error}") from error
    overrides.apply(table, said)
    mistakes, spec = list(_data_mistakes(table, check_data)), None
    try:
        spec = StudySpec.of(table)
    except ValidationError as error:
        mistakes += sentences(error, _legal_keys)
    if mistakes or spec is None:
        raise BadRequest(*(f"{path}: {line}" for line in dict.fromkeys(mistakes)))
    return spec


def _data_mistakes(table: Mapping[str, Any], check_data: CheckData) -> Sequence[str]:
    data = table.get("data")
    if not isinstance(data, dict):
        return []  # pydantic says that the table is missing or no table
    if not isinstance(data.get("source"), str):
        return ["data.source: must name a data source, such as 'imdb'"]
    return check_data(data)


def _legal_keys(location: tuple[Any, ...]) -> Collection[str]:
    """The keys of the table that holds this one."""
    match location:
        case ("space", dimension, _):
            table: Any = {d.name: d.range for d in dense.dimensions()}[dimension]
        case (name, *_, _):
            table = TABLES[name]
        case _:
            table = StudySpec
    return getattr(table, "model_fields", None) or [field.name for field in fields(table)]
