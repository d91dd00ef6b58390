"""A trained Keras model as an MLflow model folder. Imports Keras: for child processes only."""

from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

WITH_MLFLOW = False
with suppress(Exception):  # a broken installation may raise anything; the tracker tells people
    import mlflow.keras
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    WITH_MLFLOW = True

if TYPE_CHECKING:
    import keras


def package_model(model: "keras.Model", folder: Path, features: int, outputs: int = 1) -> None:
    """Write the folder: rows (any, features) float32 in, predictions (any, outputs) float32 out.

    Without MLflow there is none. The requirements are given, or MLflow would start a process to
    find them out.
    """
    if not WITH_MLFLOW:
        return
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, features))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, outputs))]),
    )
    needed = [f"{name}=={version(name)}" for name in ("keras", "tensorflow", "numpy")]
    mlflow.keras.save_model(model, str(folder), signature=signature, pip_requirements=needed)
