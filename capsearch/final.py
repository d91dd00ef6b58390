"""The last look: train the choice once more, keep the model, open the test split, score it once.

Training and scoring happen in a child process, in an order that can be cut anywhere: the model is
on disk before the split is opened, the opening is in the ledger before a row is read, the score is
recorded once. Whoever runs the study again goes on from there. The child never hears of the
storage: its address may hold a password.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capsearch.data import cache
from capsearch.data.source import Rows, Source, open_source
from capsearch.deadline import Deadline
from capsearch.engines.child import Child, ChildFailed, lookup
from capsearch.engines.process import ENGINES, Limits
from capsearch.errors import CapsearchError
from capsearch.records import Choice, Study, TestScore
from capsearch.scoring import summary
from capsearch.seal import Ledger, Opening, opened_rows
from capsearch.storage import StudyStore

if TYPE_CHECKING:
    import keras

MODEL = "model.keras"
BATCH = 1024  # rows that are made dense at a time


@dataclass(frozen=True)
class FinalTask:
    """Everything the child needs; it crosses a process border."""

    study: Study
    choice: Choice
    data: Path  # the prepared training and validation rows
    engine: str
    folder: Path  # where the model is kept


class LastLook:
    """The final's child process: it loads TensorFlow and the source while replicates still train.

    One that dies, or takes longer in one step than a training may, is replaced once. Nothing is
    started for a study whose split was opened before, unless its model is gone.
    """

    def __init__(
        self,
        study: Study,
        table: Mapping[str, Any],
        store: StudyStore,
        limits: Limits,
        deadline: Deadline,
    ) -> None:
        self._study, self._table = study, table
        self._limits, self._deadline = limits, deadline
        self._ledger = Ledger(store.database)
        self._child: Child | None = None

    def get_ready(self) -> None:
        """Start loading; returns at once."""
        if self._ledger.opening(self._study) is None:
            self._start()

    def __call__(self, task: FinalTask) -> None:
        """Score the choice on test rows and keep its model; nothing when both are done already.

        Raises SealBroken when this study opened its test split for another choice, Interrupted when
        the deadline is over (the same choice may be finished later), and CapsearchError when the
        choice cannot be trained again to the loss it had as a replicate, or when the source no
        longer gives the rows that the study was asked about.
        """
        opening = self._ledger.opening(task.study)
        scored = opening is not None and opening.scored(task.choice.key)
        if scored and (task.folder / MODEL).is_file():
            return
        try:
            self._run(task)
        except ChildFailed:
            try:
                self._run(task)
            except ChildFailed as failure:
                raise CapsearchError(f"the final evaluation failed: {failure}") from failure

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _start(self) -> Child:
        self._child = Child(self._limits.threads)
        self._child.send("capsearch.final:get_ready", self._study, self._table)
        return self._child

    def _run(self, task: FinalTask) -> None:
        child = self._child or self._start()
        self._answer(child)
        child.send("capsearch.final:keep_model", task)
        self._answer(child)
        opening = self._ledger.claim(task.study, task.choice.key)
        child.send("capsearch.final:score", task, opening)
        self._ledger.record(task.study, self._answer(child))

    def _answer(self, child: Child) -> Any:
        """To the oldest call, within the time of a training and before the deadline."""
        seconds = min(self._limits.seconds_per_job, max(self._deadline.left, 0.0))
        try:
            return child.receive(seconds)
        except ChildFailed:
            self.close()
            self._deadline.check()
            raise


def stored_score(study: Study, store: StudyStore) -> TestScore | None:
    """The recorded score of the one opening, if there is one."""
    ledger = Ledger(store.database)
    opening = ledger.opening(study)
    if opening is None or opening.score is None:
        return None
    openings = ledger.openings(study)
    return TestScore(**opening.score, opened_at=opening.opened_at, openings=openings)


_sources: dict[str, Source] = {}  # in the child: the source that is ready, by the study's key


def get_ready(study: Study, table: Mapping[str, Any]) -> None:
    """In the child: import what takes seconds, and see that the rows are still the study's own."""
    import keras  # noqa: F401 - the child alone has TensorFlow

    import capsearch.tracking.model  # noqa: F401 - the same

    source = open_source(table)
    if source.profile().fingerprints != study.data.fingerprints:
        raise CapsearchError(
            f"the rows of {study.data.source} are no longer those that {study.name} was run on. "
            "The test split was not opened. Put the data back, or ask anew under another name"
        )
    _sources[study.key] = source


def keep_model(task: FinalTask) -> None:
    """In the child: see that the chosen model lies in its folder, trained again if need be."""
    if not (task.folder / MODEL).is_file():
        _train_and_keep(task)


def score(task: FinalTask, opening: Opening) -> dict[str, float | int]:
    """In the child that is ready: what the kept model scores on the rows that were opened."""
    import keras  # the child alone has TensorFlow

    model = keras.saving.load_model(task.folder / MODEL, safe_mode=True)
    rows = opened_rows(_sources[task.study.key], opening)
    return summary(_probabilities(model, rows), rows.y)


def _train_and_keep(task: FinalTask) -> None:
    """Train the chosen job as its replicate was, and put the model into the folder in one step."""
    from capsearch.families.dense import exported  # the child alone has TensorFlow
    from capsearch.tracking.model import package_model

    data = cache.load(task.data)
    trained = lookup(ENGINES[task.engine].engine)().train([task.choice.job], data)[0]
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
