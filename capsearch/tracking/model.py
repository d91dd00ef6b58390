"""A trained Keras model as an MLflow model folder. Imports Keras: for child processes only."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow.keras
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

if TYPE_CHECKING:
    import keras


def package_model(model: "keras.Model", folder: Path, features: int) -> None:
    """Write the folder: rows (any, features) float32 in, probabilities (any, 1) float32 out.

    The requirements are given, or MLflow would start a process to find them out.
    """
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, features))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 1))]),
    )
    needed = [f"{name}=={version(name)}" for name in ("keras", "tensorflow", "numpy")]
    mlflow.keras.save_model(model, str(folder), signature=signature, pip_requirements=needed)
