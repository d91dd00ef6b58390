"""The final evaluation: keep the chosen model, open the test split, score it once.

It happens in a child process, in an order that can be cut anywhere: the model is on disk before the
split is opened, the opening is stored before a row is read, the score is recorded once. Whoever
runs the study again goes on from there. The child never hears of the storage: its address may hold
a password.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from math import isclose, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.data import cache
from capsearch.data.seal import Sealed, opened_rows
from capsearch.data.source import Rows, SearchData, SourceRef
from capsearch.deadline import Deadline
from capsearch.engines import folds
from capsearch.engines.base import looks
from capsearch.engines.child import Child, ChildFailed, lookup
from capsearch.engines.registry import ENGINES, engine_of
from capsearch.errors import BadRequest, CapsearchError
from capsearch.executors.base import Limits
from capsearch.kept import folder as kept
from capsearch.kept import reader
from capsearch.kept.usage import needed
from capsearch.randomness import some_rows
from capsearch.records import Choice, Job, Opening, Proof, Study
from capsearch.scoring import predictions, summary
from capsearch.storage import StudyWriter
from capsearch.tasks import Task, task_of

UNSCORED = "no score was recorded; put the test rows right, and run the study again"
PROOF_ROWS = 2_000  # of each split, at most
PROOF_STEPS = 8  # at most: Adam makes whole steps of mere rounding, too, so it adds up


@dataclass(frozen=True)
class FinalTask:
    """Everything the child needs to keep a model; it crosses a process border."""

    choice: Choice
    weights: tuple[np.ndarray, ...]  # of the replicate that stands for it; of folds none
    data: Path  # the prepared training and validation rows
    folder: Path  # where the model is kept
    threshold: float | None = None  # of a binary task's decision
    epochs: int = 0  # without weights: for how long it is trained on all rows of the folds


class FinalEvaluation:
    """The final's child process: it loads TensorFlow and the source while replicates still train.

    One that dies, or takes longer in one step than a training may, is replaced once.
    """

    def __init__(self, study: Study, source: SourceRef, limits: Limits, deadline: Deadline) -> None:
        self._study, self._source = study, source
        self._limits, self._deadline = limits, deadline
        self._child: Child | None = None
        self._ready: Future[None] | None = None
        self._proving: Future[Proof] | None = None
        self._proved: tuple[Job, Path] | None = None

    def prepare(self) -> None:
        """Start loading; returns at once."""
        if self._child is None:
            self._child = Child(self._limits.threads)
            self._ready = self._child.send("capsearch.final:get_ready", self._study, self._source)

    def begin_proof(self, job: Job, data: Path) -> None:
        """Start to compare the study's engine with Keras on `job`, unless that is Keras."""
        if not engine_of(self._study.engine)[0].keras and self._proving is None:
            self.prepare()
            assert self._child is not None
            self._proved = (job, data)
            self._proving = self._child.send("capsearch.final:prove", *self._proved)

    def proof(self) -> Proof | None:
        """What `begin_proof` found; None when it was never begun."""
        if self._proved is None:
            return None
        asked, self._proved = self._proved, None
        try:
            try:
                assert self._proving is not None
                found: Proof = self._answer(self._proving)
            except ChildFailed:
                self.prepare()
                assert self._child is not None
                found = self._answer(self._child.send("capsearch.final:prove", *asked))
        except ChildFailed as failure:
            found = Proof(None, 0, failure.text)
        self._proving = None
        return found

    def keep_model(self, task: FinalTask) -> None:
        """Put the chosen model into its folder, unless it is there.

        Raises CapsearchError when the weights do not give the loss that they gave as a replicate.
        """
        if not kept.kept(task.folder):
            self._twice("capsearch.final:keep_model", task)

    def score(self, opening: Opening, folder: Path, writer: StudyWriter) -> None:
        """Score the kept model on the test rows, for an opening that is stored; record it.

        Raises BadRequest when the test rows cannot be scored: nothing is recorded, and the same
        choice may be scored later.
        """
        writer.record(self._twice("capsearch.final:score", self._study.key, folder, opening))

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = self._proving = None

    def _twice(self, function: str, *args: Any) -> Any:
        """A call, and a second one in another process when the first was lost."""
        for last in (False, True):
            try:
                self.prepare()
                assert self._child is not None
                assert self._ready is not None
                self._answer(self._ready)
                return self._answer(self._child.send(function, *args))
            except ChildFailed as failure:
                if last:
                    raise CapsearchError(f"the final evaluation failed: {failure}") from failure
        raise AssertionError("the second try returns or raises")

    def _answer(self, call: "Future[Any]") -> Any:
        """Within the time of a training, and before the deadline."""
        assert self._child is not None
        seconds = min(self._limits.seconds_per_job, max(self._deadline.left, 0.0))
        try:
            return self._child.result(call, seconds)
        except ChildFailed:
            self.close()
            self._deadline.check()
            raise


# ---- What runs in the child ----------------------------------------------------------------------

_sealed: dict[str, tuple[Sealed, Task]] = {}  # test rows that nobody has looked at, by study key


def get_ready(study: Study, ref: SourceRef) -> None:
    """Import what takes seconds, and see that the rows are still those of the study."""
    import keras  # noqa: F401 - the child alone has TensorFlow

    import capsearch.tracking.model  # noqa: F401 - the same

    if not study.has_test:
        return
    sealed = Sealed.of(ref.open(), ref.name, ref.options())
    if sealed.rows.fingerprints != study.data.fingerprints:
        raise BadRequest(
            f"the rows of {study.data.source} are no longer those that {study.name} was run on. "
            "The test split was not opened. Put the data back, or ask again under another name"
        )
    _sealed[study.key] = sealed, task_of(study.data.task)


def prove(job: Job, folder: Path) -> Proof:
    """The largest difference of a row's loss between the job's engine and Keras, after one epoch.

    Both start from the same weights and see the same batches of at most PROOF_ROWS rows, at most
    PROOF_STEPS of them; dropout is off, for each engine draws its masks in its own way.
    """
    data, steps = cache.load(folder), PROOF_STEPS * job.candidate.batch_size
    train, validation = _part(data.train, steps), _part(data.validation, PROOF_ROWS)
    small = SearchData(train, validation, data.task)
    once = replace(job, candidate=replace(job.candidate, dropout=0.0), epochs=1, patience=1)
    kinds = (engine_of(job.engine)[0], ENGINES["fit"])
    ended = [lookup(kind.engine)().train([once], small)[0].outcome for kind in kinds]
    losses = [outcome.val_losses for outcome in ended]
    if losses[0] is None or losses[1] is None:
        reasons = "; ".join(outcome.reason or "complete" for outcome in ended)
        return Proof(None, len(validation), f"a training failed: {reasons}")
    difference = float(np.abs(losses[0].astype(np.float64) - losses[1]).max())
    return Proof(difference, len(validation))


def keep_model(task: FinalTask) -> None:
    """Put the chosen model into its folder in one step, once it gives what it gave before."""
    from capsearch.families.dense import exported  # the child alone has TensorFlow
    from capsearch.tracking.model import package

    data, form = cache.load(task.data), kept.Form.of(cache.preparation(task.data))
    weights = task.weights or _refitted(task, data)
    model = exported(task.choice.selected.candidate, data.features, weights, data.task)
    task.folder.parent.mkdir(parents=True, exist_ok=True)
    for left in task.folder.parent.glob(".making-*"):  # by one that was killed
        shutil.rmtree(left, ignore_errors=True)
    making = Path(tempfile.mkdtemp(dir=task.folder.parent, prefix=".making-"))
    try:
        kept.write(making, model, form, data.task, task.threshold)
        read_back = reader.load(making, kept.OURS)
        _check_same(task, read_back, data, weights)
        shown = read_back.told(read_back.outputs(data.validation.x[:1]))
        texts = {name: values.dtype.kind == "O" for name, values in shown.items()}
        package(making, form.rows, read_back.columns, texts, needed())
        shutil.rmtree(task.folder, ignore_errors=True)
        making.chmod(0o755)  # a temporary folder is its maker's alone, a model is not
        making.replace(task.folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def score(study: str, folder: Path, opening: Opening) -> dict[str, Any]:
    """What the kept model scores on the rows that were opened: raw rows, as its reader reads them.

    Raises BadRequest for test rows that have no score.
    """
    model = reader.load(folder, kept.OURS)
    sealed, task = _sealed[study]

    def prepared(columns: Mapping[str, Any]) -> Any:
        try:
            return model.inputs(columns)
        except ValueError as error:
            raise BadRequest(*(f"data: {line}" for line in str(error).splitlines())) from error

    try:
        opened = opened_rows(sealed, prepared, opening)
    except BadRequest as error:
        raise BadRequest(*error.mistakes, UNSCORED) from error
    rows = opened.rows
    found = summary(model.outputs(rows.x), rows.y, task, rows.weight, model.threshold)
    if wrong := [n for n, v in found.items() if isinstance(v, float) and not isfinite(v)]:
        raise CapsearchError(f"{', '.join(wrong)} of the test rows is no number: {UNSCORED}")
    return found | {"shared": opened.shared}


def _part(rows: Rows, most: int) -> Rows:
    chosen = some_rows(len(rows), min(most, PROOF_ROWS))
    return rows.take(chosen)


def _refitted(task: FinalTask, data: SearchData) -> tuple[np.ndarray, ...]:
    """Weights of the chosen network, trained on all rows that were cross-validated."""
    job = task.choice.job
    ended = folds.refit(lookup(engine_of(job.engine)[0].engine)(), job, task.epochs, data)
    if not ended.outcome.complete:
        raise CapsearchError(
            f"the chosen network cannot be trained on all {len(data.train):,} rows: "
            f"{ended.outcome.reason}. The test split was not opened"
        )
    return ended.weights


def _check_same(
    task: FinalTask, model: reader.KeptModel, data: SearchData, weights: Sequence[np.ndarray]
) -> None:
    """What was kept must be what the choice was made of, as it is read back.

    Of a network that was trained again on all rows: what its weights give.
    """
    rows = looks(data.validation, task.choice.job.stop_on)[1]

    def loss_of(outputs: np.ndarray) -> float:
        return float(summary(outputs, rows.y, data.task, rows.weight)["loss"])

    loss, was = loss_of(model.outputs(rows.x)), task.choice.val_loss
    if not task.weights:
        was = loss_of(predictions(weights, rows.x, data.task))
    if not isclose(loss, was, rel_tol=1e-3, abs_tol=1e-4):
        raise CapsearchError(
            f"the chosen model has a validation loss of {loss:.4f}, not {was:.4f} as when it was "
            "chosen. The test split was not opened"
        )
