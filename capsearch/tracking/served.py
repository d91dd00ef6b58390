"""How MLflow uses a kept model: raw rows in, a frame of predictions out.

It is copied into the model's folder and runs where capsearch is not installed. What is wrong with
rows is the caller's to mend: MLflow's INVALID_PARAMETER_VALUE, which its server answers with 400.
"""

from pathlib import Path
from runpy import run_path
from typing import Any


def _load_pyfunc(path: str) -> "Served":
    """The model in a folder, read by the reader that lies there. MLflow calls this by its name."""
    return Served(run_path(str(Path(path) / "capsearch_reader.py"))["load"](path))


class Served:
    """A kept model, as MLflow asks it."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, rows: Any) -> Any:
        """A pandas frame with the columns that the reader's `predict` names; numbers are float64.

        Raises MlflowException for rows that cannot be read.
        """
        import pandas as pd
        from mlflow.exceptions import MlflowException

        try:
            x = self.model.inputs(rows)
        except ValueError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        told = self.model.told(self.model.outputs(x))
        return pd.DataFrame(
            {n: v if v.dtype.kind == "O" else v.astype("float64") for n, v in told.items()}
        )
