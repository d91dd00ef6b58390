"""The folder of a kept model as a model of MLflow: what MLflow wants beside its files.

For child processes: MLflow takes seconds to import.
"""

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.tracking import served

WITH_MLFLOW = False
with suppress(Exception):  # a broken installation may raise anything; the tracker tells people
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    WITH_MLFLOW = True

MLMODEL, LOADER = "MLmodel", "capsearch_pyfunc"
TOOLS = ("pip", "setuptools", "wheel")


def package(
    folder: Path,
    rows: str,
    columns: Sequence[str],
    predictions: Mapping[str, bool],
    needed: Sequence[str],
) -> None:
    """Make a model of MLflow of a folder, in place; without MLflow do nothing.

    `mlflow.pyfunc` takes raw rows; `mlflow.keras` loads the network, which takes prepared ones.

    Args:
        folder: of a kept model, with its `model.keras`.
        rows: what rows are: "table", "texts", "numbers" or "sparse".
        columns: their names.
        predictions: the columns of what comes out, and whether each holds text.
        needed: requirements, as pip reads them.
    """
    if not WITH_MLFLOW:
        return
    shutil.copyfile(served.__file__, folder / f"{LOADER}.py")
    kinds = {True: DataType.string, False: DataType.double}
    said = Schema([ColSpec(kinds[text], name) for name, text in predictions.items()])
    model = Model(signature=ModelSignature(inputs=_inputs(rows, columns), outputs=said))
    model.add_flavor(
        "python_function",
        loader_module=LOADER,
        python_version=platform.python_version(),
        code=".",
        env={"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    )
    model.add_flavor(
        "keras",
        data="model",  # and .keras
        keras_version=version("keras"),
        keras_backend="tensorflow",
        save_exported_model=False,
    )
    _write_environment(folder, [f"mlflow=={version('mlflow')}", *needed])
    model.save(str(folder / MLMODEL))


def _inputs(rows: str, columns: Sequence[str]) -> "Schema":
    """What MLflow itself checks: that columns are there. Values are the reader's to judge.

    Typed columns would refuse rows that are right: for a double, whole numbers of a frame (int64);
    for a string, codes that a frame holds as numbers; for a boolean, the word 'no' of a CSV file
    becomes True. A text has no name, so that a list of texts is served as well as a frame.
    """
    if rows == "texts":
        return Schema([ColSpec(DataType.string)])
    if rows == "table":
        anything: Any = AnyType
        return Schema([ColSpec(anything(), name) for name in columns])
    return Schema([TensorSpec(np.dtype(np.float64), (-1, len(columns)))])


def _write_environment(folder: Path, needed: Sequence[str]) -> None:
    """For servers that make an environment of their own. JSON is YAML."""
    python = platform.python_version()
    tools = [f"{name}=={found}" for name in TOOLS if (found := _version(name))]
    (folder / "requirements.txt").write_text("".join(f"{each}\n" for each in needed))
    _save(
        folder / "python_env.yaml",
        {"python": python, "build_dependencies": tools, "dependencies": ["-r requirements.txt"]},
    )
    pip = [f"python={python}", "pip", {"pip": list(needed)}]
    _save(
        folder / "conda.yaml",
        {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": pip},
    )


def _version(name: str) -> str | None:
    with suppress(Exception):  # not installed
        return version(name)
    return None


def _save(path: Path, said: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=1))
