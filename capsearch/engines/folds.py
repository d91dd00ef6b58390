"""One training over all folds: each job on every fold, its results as one. Pure but for the engine.

The rows that an outcome tells of are all that were searched, in their order: each was judged once a
repeat, by the network of a fold that had it for validation.

No row has a say in how long its own network is trained. A fold's rows are few, and the epoch that
is best for them makes them look better than others like them: by 0.02 to 0.04 nats on 57 rows, most
for large networks, which then were claimed wrongly in every fifth study (tests/bench/README.md). So
a fold is judged after as many epochs as were best for the other folds.
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

    With folds, every network is trained twice from the same seed: with its fold's rows to stop it,
    which tells their best epoch, and then for as many epochs as were best in the median of the
    other folds of its repeat, which tells its figures. Of those, losses of rows are means over
    repeats, losses and accuracy over all rows; the curve is a mean over the first trainings (one
    that has ended counts as it ended), and the best epoch their median. There are no weights: a
    choice is trained again on all rows. Outputs are those of the first repeat. A job fails with the
    first fold that fails.
    """
    if not data.folds:
        return engine.train(jobs, data)
    first = zip(*_on_all(engine, [jobs] * len(data.folds), data), strict=True)
    stopped = dict(enumerate(first))  # of each job, by its place: the first trainings, by fold
    good = [place for place, each in stopped.items() if _failed(each) is None]
    epochs = [of_others([t.outcome.best_epoch for t in stopped[place]], data) for place in good]
    again = [
        [_for(jobs[place], of[fold]) for place, of in zip(good, epochs, strict=True)]
        for fold in range(len(data.folds))
    ]
    second = zip(*_on_all(engine, again, data), strict=True) if good else ()
    judged = dict(zip(good, second, strict=True))
    return [_failed(each) or _joined(each, judged[place], data) for place, each in stopped.items()]


def of_others(best: Sequence[int], data: SearchData) -> list[int]:
    """For each fold the median of the best epochs of the other folds of its repeat.

    By hand, 3, 9 and 4: of 9 and 4, of 3 and 4, of 3 and 9, the lower of two: 4, 3, 3.
    """
    rows, found = len(data.validation), list[int]()
    begin, seen = 0, 0
    for number, fold in enumerate(data.folds):
        seen += len(fold.places)
        if seen == rows:  # a repeat is whole
            own = list(best[begin : number + 1])
            found += [median_low(own[:at] + own[at + 1 :]) for at in range(len(own))]
            begin, seen = number + 1, 0
    return found


def _on_all(engine: Engine, jobs: Sequence[Sequence[Job]], data: SearchData) -> list[list[Trained]]:
    """Each fold's jobs on its rows."""
    folds = [fold.data for fold in data.folds]
    if engine.pack == 1:
        return [engine.train(*each) for each in zip(jobs, folds, strict=True)]
    with ThreadPoolExecutor(len(folds)) as pool:  # all networks of all folds side by side
        return list(pool.map(engine.train, jobs, folds))


def _for(job: Job, epochs: int) -> Job:
    """The same job for so many epochs: no row stops it."""
    return replace(job, epochs=epochs, patience=epochs, stop_on="never")


def _failed(trained: Sequence[Trained]) -> Trained | None:
    outcomes = [each.outcome for each in trained]
    for number, outcome in enumerate(outcomes, 1):
        if outcome.failure is not None:
            text = f"fold {number} of {len(outcomes)}: {outcome.failure.text}"
            seconds = sum(each.seconds for each in outcomes)
            failed = Outcome.failed(outcome.failure.kind, text, outcome.curve, seconds)
            return Trained(failed, ())
    return None


def _joined(stopped: Sequence[Trained], judged: Sequence[Trained], data: SearchData) -> Trained:
    """Of the first trainings and of the second."""
    if failed := _failed(judged):
        return failed
    outcomes = [each.outcome for each in judged]
    losses = _losses(outcomes, data)
    sizes = [len(fold.places) for fold in data.folds]
    joined = Outcome(
        curve=_curve([each.outcome.curve for each in stopped]),
        best_epoch=median_low(each.outcome.best_epoch for each in stopped),
        val_loss=float(losses.mean(dtype=np.float64)),
        val_accuracy=_mean([outcome.val_accuracy for outcome in outcomes], sizes),
        seconds=sum(each.outcome.seconds for each in (*stopped, *judged)),
        val_losses=losses,
        val_rmse=_root_mean_square([outcome.val_rmse for outcome in outcomes], sizes),
    )
    return Trained(joined, (), _outputs(judged, data.folds, len(data.validation), data.task))


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
    once = SearchData(data.train, data.train, data.task)
    return engine.train([_for(job, epochs)], once)[0]
