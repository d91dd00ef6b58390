"""One training over all folds: each job on every fold, its results as one. Pure but for the engine.

The rows that an outcome tells of are all that were searched, in their order: each was judged once a
repeat, by the network of a fold that had it for validation.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import sqrt
from statistics import fmean, median_low

import numpy as np

from capsearch.data.source import Fold, SearchData
from capsearch.engines.base import Engine, Trained
from capsearch.records import Curve, Job, Outcome
from capsearch.scoring import predictions
from capsearch.tasks import Task

SERIES = ("loss", "accuracy", "val_loss", "val_accuracy", "rmse", "val_rmse")


def train(engine: Engine, jobs: Sequence[Job], data: SearchData) -> list[Trained]:
    """One result a job, in their order; without folds those of the engine.

    With folds, of the figures of a training: losses of rows are means over repeats, losses and
    accuracy over all rows, the curve a mean over folds (one that has ended counts as it ended), and
    the best epoch is the median of the folds'. It has no weights: a choice is trained again on all
    rows. Outputs are those of the first repeat. A job fails with the first fold that fails.
    """
    if not data.folds:
        return engine.train(jobs, data)
    if engine.pack == 1:
        by_fold = [engine.train(jobs, fold.data) for fold in data.folds]
    else:  # all networks of all folds side by side
        with ThreadPoolExecutor(len(data.folds)) as pool:
            by_fold = list(pool.map(lambda fold: engine.train(jobs, fold.data), data.folds))
    return [_joined(trained, data) for trained in zip(*by_fold, strict=True)]


def _joined(trained: Sequence[Trained], data: SearchData) -> Trained:
    outcomes = [each.outcome for each in trained]
    seconds = sum(outcome.seconds for outcome in outcomes)
    for number, outcome in enumerate(outcomes, 1):
        if outcome.failure is not None:
            text = f"fold {number} of {len(outcomes)}: {outcome.failure.text}"
            failed = Outcome.failed(outcome.failure.kind, text, outcome.curve, seconds)
            return Trained(failed, ())
    losses = _losses(outcomes, data)
    sizes = [len(fold.places) for fold in data.folds]
    joined = Outcome(
        curve=_curve([outcome.curve for outcome in outcomes]),
        best_epoch=median_low(outcome.best_epoch for outcome in outcomes),
        val_loss=float(losses.mean(dtype=np.float64)),
        val_accuracy=_mean([outcome.val_accuracy for outcome in outcomes], sizes),
        seconds=seconds,
        val_losses=losses,
        val_rmse=_root_mean_square([outcome.val_rmse for outcome in outcomes], sizes),
    )
    return Trained(joined, (), _outputs(trained, data.folds, len(data.validation), data.task))


def _losses(outcomes: Sequence[Outcome], data: SearchData) -> np.ndarray:
    """Of every row, the mean over repeats; float32 (rows,)."""
    total, times = np.zeros((2, len(data.validation)))
    for outcome, fold in zip(outcomes, data.folds, strict=True):
        assert outcome.val_losses is not None  # engines give them with what is complete
        total[fold.places] += outcome.val_losses
        times[fold.places] += 1
    return (total / times).astype(np.float32)


def _curve(curves: Sequence[Curve]) -> Curve:
    """The mean of all, as long as the longest. By hand, 4 2 and 2 0 3: 3 1 2.5."""

    def mean(name: str) -> tuple[float, ...]:
        series = [getattr(curve, name) for curve in curves]
        longest = max(map(len, series))
        if not longest:
            return ()
        return tuple(fmean(one[min(at, len(one) - 1)] for one in series) for at in range(longest))

    return Curve(**{name: mean(name) for name in SERIES})


def _mean(values: Sequence[float | None], sizes: Sequence[int]) -> float | None:
    """Over rows; None for a task that has no such figure."""
    known = [value for value in values if value is not None]
    return fmean(known, sizes) if len(known) == len(sizes) else None


def _root_mean_square(values: Sequence[float | None], sizes: Sequence[int]) -> float | None:
    mean = _mean([None if value is None else value**2 for value in values], sizes)
    return None if mean is None else sqrt(mean)


def _outputs(
    trained: Sequence[Trained], folds: Sequence[Fold], rows: int, task: Task
) -> np.ndarray:
    """Predictions on every row, of the network of its fold in the first repeat."""
    shape = (rows,) if task.outputs == 1 else (rows, task.outputs)
    found, left = np.empty(shape, np.float32), np.ones(rows, bool)
    for each, fold in zip(trained, folds, strict=True):
        if not left.any():
            break
        found[fold.places] = predictions(each.weights, fold.data.validation.x, task)
        left[fold.places] = False
    return found


def refit(engine: Engine, job: Job, epochs: int, data: SearchData) -> Trained:
    """The job on all rows that were searched, for so many epochs: no row stops it."""
    once = replace(job, epochs=epochs, patience=epochs, stop_on="never")
    return engine.train([once], SearchData(data.train, data.train, data.task))[0]
