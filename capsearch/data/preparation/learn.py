"""What is learned of one column, by its kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from capsearch.data.columns.declared import Column
from capsearch.data.preparation import lists, transform

CYCLES = {"year": 366, "month": 31, "week": 7, "day": 1440}  # places: days, days, days, minutes
DAYS = {"year": 365, "month": 28, "week": 7, "day": 1}  # a cycle is used where it was seen whole


@dataclass(frozen=True)
class Settings:
    """What a person may choose.

    `rare`: a category or a word of fewer rows is none of its own. `categories`: of a column, at
    most, the commonest. `sparse`: None decides by how many features there are and how full.
    """

    vocabulary: int = 10_000
    texts: Literal["multi-hot", "tf-idf"] = "multi-hot"
    rare: int = 10
    categories: int = 1_000
    sparse: bool | None = None


Learned = tuple[dict[str, Any], list[str]]  # of a column's spec, and the names of its features


def base(column: Column) -> dict[str, Any]:
    """What `transform` needs to read a column's values."""
    return {
        "name": column.name,
        "kind": column.kind,
        "null": list(column.null),
        "format": column.format,
        "decimal": column.decimal,
        "thousands": column.thousands,
        "unit": column.unit,
    }


def _number(spec: dict[str, Any], train: np.ndarray, listed: np.ndarray, _: Settings) -> Learned:
    x = transform.numbers(spec, train)
    all_ = x if listed is train else transform.numbers(spec, listed)
    missing = bool(np.isnan(all_).any())
    centre, scale = robust_scale(x[~np.isnan(x)])
    return {"centre": centre, "scale": scale, "missing": missing}, _named(spec, missing)


def _boolean(spec: dict[str, Any], train: np.ndarray, listed: np.ndarray, _: Settings) -> Learned:
    words = {transform.as_text(value) for value in listed} - {"", *spec["null"]}
    spec["words"] = not words <= {"0", "1"}
    x = transform.booleans(spec, train)
    missing = bool(np.isnan(transform.booleans(spec, listed)).any())
    known = x[~np.isnan(x)]
    centre = float(np.mean(known)) if len(known) else 0.5
    return {"words": spec["words"], "centre": centre, "missing": missing}, _named(spec, missing)


def _date(spec: dict[str, Any], train: np.ndarray, listed: np.ndarray, _: Settings) -> Learned:
    own, all_ = transform.dates(spec, train), transform.dates(spec, listed)
    missing = bool(np.isnat(all_).any())
    own, all_ = own[~np.isnat(own)], all_[~np.isnat(all_)]
    start = int(own.min().astype(np.int64)) if len(own) else 0
    centre, scale = robust_scale((own.astype(np.int64) - start) / transform.DAY)
    places = transform.cycle_places(all_)
    span = int(np.ptp(all_.astype(np.int64))) if len(all_) else 0
    whole = [name for name, days in DAYS.items() if span >= days * transform.DAY]
    cycles = [name for name in whole if len(np.unique(places[name])) > 1]
    parts = ["days", *(f"{name} {wave}" for name in cycles for wave in ("sin", "cos"))]
    more = {"start": start, "centre": centre, "scale": scale, "cycles": cycles, "missing": missing}
    features = [f"{spec['name']} {part}" for part in parts]
    return more, features + ([f"{spec['name']} missing"] if missing else [])


def _category(
    spec: dict[str, Any], _train: np.ndarray, listed: np.ndarray, settings: Settings
) -> Learned:
    found = lists.categories(listed, spec["null"], settings.rare, settings.categories)
    features = [f"{spec['name']}={value}" for value in found.values]
    rare = absent = None
    if found.rare:
        rare = len(features)
        features.append(f"{spec['name']} rare")
    if found.missing:
        absent = len(features)
        features.append(f"{spec['name']} missing")
    return {"values": list(found.values), "rare": rare, "absent": absent}, features


def _text(
    spec: dict[str, Any], train: np.ndarray, listed: np.ndarray, settings: Settings
) -> Learned:
    words = lists.vocabulary(listed, spec["null"], settings.vocabulary, settings.rare)
    idf = lists.idf(train, spec["null"], words) if settings.texts == "tf-idf" else None
    return {"values": words, "idf": idf}, [f"{spec['name']}: {word}" for word in words]


LEARN = {
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "category": _category,
    "text": _text,
}


def robust_scale(x: np.ndarray) -> tuple[float, float]:
    """Median and quartile range; half the whole range where the quartiles are equal, else 1.

    As in RealMLP's robust scaling (arXiv 2407.04491). By hand: 1, 2, 3, 4, 100 has the median 3 and
    the quartiles 2 and 4: (3.0, 2.0).
    """
    if not len(x):
        return 0.0, 1.0
    low, middle, high = (float(q) for q in np.quantile(x, (0.25, 0.5, 0.75)))
    scale = high - low or (float(x.max()) - float(x.min())) / 2
    return middle, scale or 1.0


def _named(spec: Mapping[str, Any], missing: bool) -> list[str]:
    return [spec["name"], *([f"{spec['name']} missing"] if missing else [])]
