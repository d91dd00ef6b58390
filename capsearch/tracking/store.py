"""MLflow's tables in a new SQLite file: all of them, or no file.

MLflow makes them one by one. A process that is killed, or a disk that fills up, in between leaves a
file that MLflow refuses for ever ("table ... already exists").
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from mlflow import MlflowClient


def make_whole(uri: str) -> None:
    """Make the SQLite store at `uri` beside its place, and put it there in one step.

    Nothing happens for another kind of store, or when the file is there; when another process makes
    it at the same moment, the first one stays.
    """
    url = sa.make_url(uri) if uri.startswith("sqlite") else None
    if url is None or not url.database or Path(url.database).exists():
        return
    file = Path(url.database)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".making-") as folder:
        making = Path(folder) / "mlflow.db"
        address = str(sa.make_url(uri).set(database=str(making)))
        MlflowClient(tracking_uri=address, registry_uri=address).search_experiments(max_results=1)
        with suppress(FileExistsError):
            os.link(making, file)
