"""`sklearn`: the tables that come with scikit-learn, `name = "breast_cancer"`. No network.

Labels keep their names where scikit-learn gives them one.
"""

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from capsearch.data.options import SplitOptions, check
from capsearch.data.source import RawData
from capsearch.errors import BadRequest
from capsearch.records import digest_of

PACKAGE = "scikit-learn"
FILES = {
    "breast_cancer": ("breast_cancer.csv",),
    "diabetes": ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"),
    "digits": ("digits.csv.gz",),
    "wine": ("wine_data.csv",),
}


class TableOptions(SplitOptions):
    """Which table. Of digits the task is told, for their numbers could be amounts."""

    name: Literal["breast_cancer", "diabetes", "digits", "wine"]

    @model_validator(mode="before")
    @classmethod
    def _digits_are_classes(cls, table: Any) -> Any:
        known = isinstance(table, Mapping) and table.get("name") == "digits"
        return {"task": "multiclass", **table} if known else table


class Sklearn:
    """Numbers, and the classes by their names; of `diabetes` a quantity."""

    Options = TableOptions

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._name = check(TableOptions, options).name

    def identity(self) -> str:
        files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(self._name)]
        return digest_of(["sklearn", self._name, files])

    def read(self) -> RawData:
        from sklearn import datasets  # takes a second: only when rows are really read

        found = getattr(datasets, f"load_{self._name}")()
        target = found.target
        if self._name in ("breast_cancer", "wine"):
            target = np.array([str(name) for name in found.target_names], object)[target]
        return RawData({"x": np.asarray(found.data, np.float64)}, target)


def _files(name: str) -> list[Path]:
    """Those of a table. Raises BadRequest when scikit-learn is not installed whole."""
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        raise BadRequest(f"the package {PACKAGE} is not installed") from None
    found = [Path(str(package.locate_file(f"sklearn/datasets/data/{f}"))) for f in FILES[name]]
    if missing := [path for path in found if not path.is_file()]:
        raise BadRequest(f"{missing[0]}: is missing; install {PACKAGE} anew")
    return found
