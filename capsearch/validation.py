"""What stored outputs say on validation rows: each finalist's metrics, and a decision threshold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Self

import numpy as np

from capsearch.data import cache
from capsearch.executors.train import OUTPUT_ROWS
from capsearch.randomness import halves, some_rows
from capsearch.records import Choice, Estimate, Interval, StopOn, Trial
from capsearch.tasks import HALF, Task
from capsearch.tasks.binary import threshold_of

NEGATIVE = ("r2",)  # metrics that may be below 0
OPEN = ("log_loss", "brier", "rmse", "mae")  # metrics that may be above 1
Outputs = Callable[[str], np.ndarray | None]
"""The stored outputs of a replicate, by the key of its job."""


@dataclass(frozen=True)
class JudgingRows:
    """The validation rows that rank networks and whose outputs are stored."""

    task: Task
    y: np.ndarray
    places: np.ndarray  # of these rows among the stored outputs
    widening: float = 1.0  # of errors over rows that are cross-validated (`Folds.widening`)

    @classmethod
    def of(cls, task: Task, y: np.ndarray, stop_on: StopOn) -> Self:
        """`y`: of all validation rows. With "half" those that stop training are left out."""
        stored = some_rows(len(y), OUTPUT_ROWS)
        judging = stored if stop_on == "all" else halves(len(y))[1]
        places = np.flatnonzero(np.isin(stored, judging))
        return cls(task, y[stored[places]], places)

    @classmethod
    def in_folder(cls, task: Task, folder: Path, stop_on: StopOn, widening: float = 1.0) -> Self:
        """Of prepared rows."""
        return replace(cls.of(task, cache.validation_targets(folder), stop_on), widening=widening)

    def outputs(self, stored: np.ndarray) -> np.ndarray:
        """Predictions on these rows, from all that were stored, (rows x outputs,)."""
        shape = (-1,) if self.task.outputs == 1 else (-1, self.task.outputs)
        found: np.ndarray = stored.reshape(shape)[self.places]
        return found

    def threshold(self, choice: Choice, outputs: Outputs) -> float | None:
        """Above which probability the second class is predicted; None for every other task."""
        if self.task.kind != "binary":
            return None
        stored = outputs(choice.key)
        return HALF if stored is None else threshold_of(self.outputs(stored), self.y)

    def metrics(
        self,
        points: Sequence[Estimate],
        replicates: Sequence[Trial],
        outputs: Outputs,
        threshold: float | None,
    ) -> tuple[dict[str, Interval], ...]:
        """Of each point: means over its replicates, of figures and of the ends of their intervals.

        The intervals are those of one network over rows; what seeds add is not in them.
        """
        found = []
        for point in points:
            runs = [t.job.key for t in replicates if t.candidate == point.candidate]
            stored = [each for key in runs if (each := outputs(key)) is not None]
            given = [
                self.task.metrics(
                    self.outputs(each), self.y, HALF if threshold is None else threshold
                )
                for each in stored
            ]
            found.append({n: self._widened(n, each) for n, each in _means(given).items()})
        return tuple(found)

    def _widened(self, name: str, figure: Interval) -> Interval:
        """Either end so much further from the value, within what the figure can be."""
        if self.widening == 1.0:
            return figure
        value, wide = figure.value, self.widening
        low, high = value - wide * (value - figure.low), value + wide * (figure.high - value)
        lowest = -inf if name in NEGATIVE else 0.0
        return Interval(value, max(low, lowest), high if name in OPEN else min(high, 1.0))


def _means(given: Sequence[dict[str, Interval]]) -> dict[str, Interval]:
    """Of the figures that all of them have."""
    names = [name for name in given[0] if all(name in each for each in given)] if given else []
    return {
        name: Interval(
            fmean(each[name].value for each in given),
            fmean(each[name].low for each in given),
            fmean(each[name].high for each in given),
        )
        for name in names
    }
