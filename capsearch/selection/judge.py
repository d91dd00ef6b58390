"""What networks are compared by: log loss, 0-1 error or Brier score.

Training, stopping and search go on by log loss, which tells networks apart with the fewest rows.
All three are read from the log loss of each validation row: a row whose true class was given the
probability p has a log loss of -ln p. Where rows are cross-validated their scores are spread around
their mean by `widening`, so that whatever is computed of them has errors that are so much wider.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from capsearch.records import DataProfile, Estimate, StudyRecord, Trial
from capsearch.selection.curve import estimate
from capsearch.tasks.base import entropy

LOG_LOSS = "log_loss"


def _wrong(losses: np.ndarray) -> np.ndarray:
    """1 where the true class had a probability below one half."""
    return (losses > log(2.0)).astype(np.float64)


def _squared(losses: np.ndarray) -> np.ndarray:
    """(1 - p)^2 (Brier 1950, Monthly Weather Review 78, 1-3; of one of two classes)."""
    return np.square(-np.expm1(-losses.astype(np.float64)))


@dataclass(frozen=True)
class Judge:
    """One way to judge a row, lower being better.

    By hand, a row whose true class had the probability 0.8: log loss 0.2231, error 0, Brier score
    0.04; with 0.3: 1.2040, 1, 0.49. A quarter of the rows positive, and nothing known of a row:
    0.5623, 0.25, 0.1875.
    """

    noun: str  # as it follows "validation"
    scores: Callable[[np.ndarray], np.ndarray]  # of log losses, any shape
    blind: Callable[[float], float]  # its mean where only the share of positives is known
    widening: float = 1.0  # of errors over rows (`Folds.widening`)

    def read(self, trials: Sequence[Trial]) -> tuple[Trial, ...]:
        """The trials with a score of each validation row in place of its loss.

        Their mean losses stay what they are. By hand, scores 1, 2 and 6 of one trial, widened by
        1.5: their mean is 3, so they become 0, 1.5 and 7.5.
        """
        return tuple(map(self._read, trials))

    def _read(self, trial: Trial) -> Trial:
        outcome = trial.outcome
        if outcome is None or outcome.val_losses is None:
            return trial
        scores = self.scores(outcome.val_losses)
        if self.widening != 1.0:
            mean = scores.mean(dtype=np.float64)
            scores = mean + self.widening * (scores - mean)
        return trial.ended(replace(outcome, val_losses=scores))


JUDGES = {
    LOG_LOSS: Judge("loss", lambda losses: losses, lambda p: entropy((1.0 - p, p))),
    "error": Judge("error", _wrong, lambda share: min(share, 1.0 - share)),
    "brier": Judge("Brier score", _squared, lambda p: p * (1.0 - p)),
}
"""By the names of the study file: in nats, share of the rows, squared probability."""


def judge_for(name: str, data: DataProfile) -> Judge:
    """The judge of this name for such data."""
    return replace(JUDGES[name], widening=data.widening)


def judge_of(record: StudyRecord) -> Judge:
    """By which a study was decided; those before there were several, by log loss."""
    name = record.study.question["select"].get("judge", LOG_LOSS)
    return judge_for(name, record.study.data)


def judged(record: StudyRecord) -> StudyRecord:
    """The record with the rows of every trial as its judge reads them."""
    read = judge_of(record).read
    return replace(record, trials=read(record.trials), replicates=read(record.replicates))


def by_log_loss(record: StudyRecord, point: Estimate) -> Estimate:
    """A finalist's mean log loss and its standard error, whatever it was judged by."""
    log_loss = judge_for(LOG_LOSS, record.study.data)
    if judge_of(record) == log_loss:
        return point
    runs = [t for t in record.replicates if t.candidate == point.candidate]
    found = estimate(log_loss.read(runs))
    assert found is not None  # it was compared
    return found
