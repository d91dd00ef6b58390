"""The last look: train the choice once more, keep the model, open the test split, score it once.

All of it happens in a child process, in an order that can be cut anywhere: the model is on disk
before the split is opened, the opening is in the ledger before a row is read, the score is recorded
once. Whoever runs the study again goes on from there.
"""

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from math import isclose, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capsearch.data import cache
from capsearch.data.source import Rows, open_source
from capsearch.engine.process import ENGINES, Child, ChildFailed, lookup
from capsearch.errors import CapsearchError
from capsearch.records import Choice, Study, TestScore
from capsearch.seal import Ledger, Seal
from capsearch.storage import StudyStore

if TYPE_CHECKING:
    import keras

Z95 = 1.959964  # the 97.5 % point of the standard normal distribution
CLIP = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras' own cross-entropy
MODEL = "model.keras"
BATCH = 1024  # rows that are made dense at a time


@dataclass(frozen=True)
class FinalTask:
    """Everything the child needs; it crosses a process border."""

    study: Study
    choice: Choice
    table: Mapping[str, Any]  # the study file's [data]
    data: Path  # the prepared training and validation rows
    storage: str
    engine: str
    folder: Path  # where the model is kept


def last_look(task: FinalTask, threads: int) -> None:
    """Score the choice on test rows and keep its model; nothing when both are done already.

    Raises SealBroken when this study opened its test split for another choice, and CapsearchError
    when the choice cannot be trained again to the loss it had as a replicate.
    """
    with closing(StudyStore(task.storage)) as store:
        opening = Ledger(store.engine).opening(task.study)
    done = opening is not None and opening.choice == task.choice.key and opening.score is not None
    if done and (task.folder / MODEL).is_file():
        return
    child = Child(threads)
    try:
        child.call("capsearch.final:run", task)
    except ChildFailed as failure:
        raise CapsearchError(f"the final evaluation failed: {failure}") from failure
    finally:
        child.close()


def stored_score(study: Study, store: StudyStore) -> TestScore | None:
    """The recorded score of the one opening, if there is one."""
    ledger = Ledger(store.engine)
    opening = ledger.opening(study)
    if opening is None or opening.score is None:
        return None
    openings = ledger.openings(study)
    return TestScore(**opening.score, opened_at=opening.opened_at, openings=openings)


def run(task: FinalTask) -> None:
    """In the child: model first, then the seal, then the score."""
    model = _model(task)
    store = StudyStore(task.storage)
    ledger = Ledger(store.engine)
    seal = Seal(open_source(task.table), task.study, ledger)
    _, rows = seal.open_for(task.choice.key)
    ledger.record(task.study, summary(_probabilities(model, rows), rows.y))


def summary(probabilities: np.ndarray, y: np.ndarray) -> dict[str, float | int]:
    """Loss and accuracy with 95 % intervals: normal for the mean loss, Wilson (1927) for accuracy.

    By hand, 8 of 10 right: centre (0.8 + 3.8415 / 20) / (1 + 3.8415 / 10) = 0.7167, half width
    0.2265: from 0.4902 to 0.9433.
    """
    p = np.clip(probabilities.astype(np.float64), CLIP, 1.0 - CLIP)
    losses = -(y * np.log(p) + (1.0 - y) * np.log1p(-p))
    rows, loss = len(y), float(losses.mean())
    reach = Z95 * float(losses.std(ddof=1)) / sqrt(rows)
    accuracy = float(((p > 0.5) == (y > 0.5)).mean())
    low, high = wilson(accuracy, rows)
    return {
        "loss": loss,
        "loss_low": loss - reach,
        "loss_high": loss + reach,
        "accuracy": accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "rows": rows,
    }


def wilson(share: float, rows: int) -> tuple[float, float]:
    """The 95 % score interval of a share seen in `rows` rows (Wilson 1927)."""
    z2 = Z95**2
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z95 / (1 + z2 / rows) * sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _model(task: FinalTask) -> "keras.Model":
    """The chosen model: read from its folder, or trained again and put there."""
    import keras  # the child alone has TensorFlow

    path = task.folder / MODEL
    if not path.is_file():
        _train_and_keep(task)
    model: keras.Model = keras.saving.load_model(path, safe_mode=True)
    return model


def _train_and_keep(task: FinalTask) -> None:
    """Train the chosen job as its replicate was, and put the model into the folder in one step."""
    from capsearch.model import exported  # the child alone has TensorFlow
    from capsearch.tracking.model import package_model

    data = cache.load(task.data)
    trained = lookup(ENGINES[task.engine])().train([task.choice.job], data)[0]
    _check_same(task, trained.outcome.val_loss, trained.outcome.reason)
    model = exported(task.choice.selected.candidate, data.features, trained.weights)
    task.folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=task.folder.parent, prefix=".making-"))
    try:
        model.save(making / MODEL)
        package_model(model, making / "mlflow", data.features)
        shutil.rmtree(task.folder, ignore_errors=True)
        making.chmod(0o755)  # a temporary folder is its maker's alone, a model is not
        making.replace(task.folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _check_same(task: FinalTask, val_loss: float, reason: str | None) -> None:
    """Bit-identical on one machine; another processor may round otherwise, within a fraction."""
    if reason is not None or not isclose(val_loss, task.choice.val_loss, rel_tol=0.02):
        raise CapsearchError(
            f"the choice was trained again and ended at a validation loss of {val_loss:.4f} "
            f"({reason or 'complete'}), not {task.choice.val_loss:.4f} as before. The test split "
            "was not opened"
        )


def _probabilities(model: "keras.Model", rows: Rows) -> np.ndarray:
    """Shape (rows,), made dense a batch at a time."""
    parts = []
    for start in range(0, len(rows), BATCH):
        x = rows.x[start : start + BATCH]
        dense = x if isinstance(x, np.ndarray) else x.toarray()
        parts.append(np.asarray(model(dense, training=False)).ravel())
    return np.concatenate(parts)
