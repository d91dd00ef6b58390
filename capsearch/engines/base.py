"""The contract of an engine: jobs in, outcomes out, in the same order.

What every engine promises, and `tests/contracts/engine.py` checks of each:

- an outcome depends on its job and the data alone: not on the other jobs, nor on their order;
- initial weights and the batch order of each epoch come from the job's seed through
  `capsearch.randomness`, so two engines given one job start alike and see the same batches;
- after every epoch the validation rows are scored with dropout off; training ends `patience`
  epochs after the best one, and figures and weights are those of the best epoch;
- with `stop_on = "half"` the best epoch is that of one half of these rows, and every figure is of
  the other half (`looks`); with "never" the best epoch is the last;
- losses are data losses: the L1 and L2 penalties steer training and are not counted;
- a job that diverges is a failed outcome with its reason, not an exception;
- rows in folds are refused with ValueError: `engines.folds` gives an engine one fold at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from capsearch.data.source import Rows, SearchData
from capsearch.randomness import halves
from capsearch.records import KINDS, Curve, Job, Outcome, Stopping
from capsearch.tasks import Task


@dataclass(frozen=True, slots=True)
class Trained:
    """An outcome with the weights of its best epoch: kernel, bias, kernel, bias ... (float32)."""

    outcome: Outcome
    weights: tuple[np.ndarray, ...]  # empty when the outcome is a failure
    outputs: np.ndarray | None = None
    """Predictions on validation rows, float32 (rows,) or (rows, outputs); of replicates alone."""


def diverged(epoch: int, curve: Curve, seconds: float) -> Outcome:
    """Of a job whose training or validation loss is not finite after `epoch`."""
    return Outcome.failed("diverged", f"{KINDS['diverged']} at epoch {epoch}", curve, seconds)


def undivided(data: SearchData) -> SearchData:
    """The same rows. Raises ValueError for rows in folds: their validation rows are trained on."""
    if data.folds:
        raise ValueError("rows in folds are trained by engines.folds, a fold at a time")
    return data


def looks(validation: Rows, stop_on: Stopping) -> tuple[Rows, Rows]:
    """The rows that stop training, and those that figures are of; the same but for "half"."""
    if stop_on != "half":
        return validation, validation
    stopping, judging = map(validation.take, halves(len(validation)))
    return stopping, judging


def curve_of(task: Task, epochs: Sequence[tuple[float, float, float, float]]) -> Curve:
    """Of each epoch's loss and figure (its mean over rows, as `Task.figure` takes it), on training
    and on validation rows.
    """
    loss, figure, val_loss, val_figure = map(tuple, zip(*epochs, strict=True))
    figures = tuple(map(task.figure, figure)), tuple(map(task.figure, val_figure))
    if task.headline.share:
        return Curve(loss, figures[0], val_loss, figures[1])
    return Curve(loss, (), val_loss, (), *figures)


def outcome_of(
    task: Task, curve: Curve, best: int, val_loss: float, seconds: float, losses: np.ndarray
) -> Outcome:
    """Of a job whose epoch `best` (from 0) is the best one, with the losses of its rows then."""
    share = task.headline.share
    return Outcome(
        curve=curve,
        best_epoch=best + 1,
        val_loss=val_loss,
        val_accuracy=curve.val_accuracy[best] if share else None,
        seconds=seconds,
        val_losses=losses,
        val_rmse=None if share else curve.val_rmse[best],
    )


class Engine(Protocol):
    """What trains. Final classes satisfy it; to change what one does, wrap it."""

    pack: int
    """How many jobs this engine wants at a time.

    One that wants more than one may be called from several threads at once, for any rows.
    """

    def train(self, jobs: Sequence[Job], data: SearchData) -> list[Trained]:
        """One result a job, in the order of the jobs."""
        ...
