"""When to stop adding rungs: once larger networks no longer pay. Pure functions.

A rung pays when its best network beats the best of all smaller ones by more than the noise: by more
than one standard error of the mean paired difference of their losses, validation row by validation
row. Differences of one row are smaller than the losses themselves, for a hard row is hard for both.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from capsearch.records import RungEvidence, Trial
from capsearch.spec.strategies import PATIENCE, WINDOW


def evidence_of(rungs: Sequence[Sequence[Trial]]) -> tuple[RungEvidence, ...]:
    """What each rung's trials say, smallest first: does it pay to have grown to it?

    A rung is compared with the best network up to the last rung that paid, so that gains too small
    to see in one step are seen in two. Rungs without trials were not opened.
    """
    found = list[RungEvidence]()
    best: Trial | None = None
    for number, trials in enumerate(rungs):
        mine = best_of(trials)
        compared = paired_gain(best, mine) if best and mine else None
        pays = mine is not None and (compared is None or compared[0] > compared[1])
        found.append(
            RungEvidence(
                rung=number,
                opened=bool(trials),
                parameters=mine.parameters if mine else None,
                val_loss=mine.outcome.val_loss if mine and mine.outcome else None,
                gain=compared[0] if compared else None,
                se=compared[1] if compared else None,
                pays=pays,
            )
        )
        best = mine if pays else best
    return tuple(found)


def reach(evidence: Sequence[RungEvidence], patience: int = PATIENCE, window: int = WINDOW) -> int:
    """How many rungs may be open by the evidence of the complete ones, the smallest.

    Never fewer than by the evidence of fewer: a rung that pays among the last that are open makes
    growth go on, though `patience` rungs before it did not.
    """
    opened, in_vain = window, 0
    for complete, rung in enumerate(evidence, start=1):
        in_vain = 0 if rung.pays else in_vain + 1
        if in_vain < patience:
            opened = complete + window
    return opened


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial of lowest validation loss; of equal ones the smallest network."""
    done = [
        (t.outcome.val_loss, t.parameters, t) for t in trials if t.outcome and t.outcome.complete
    ]
    return min(done, key=lambda found: found[:2])[2] if done else None


def paired_gain(smaller: Trial, larger: Trial) -> tuple[float, float]:
    """By how much the larger network's mean validation loss is lower, and its standard error.

    The usual standard error of a mean, of the differences per row. By hand: 0.5, 0.3 and 0.4
    against 0.3, 0.2 and 0.4: differences 0.2, 0.1 and 0.0; mean 0.1, deviation 0.1, and
    0.1 / sqrt(3) = 0.0577.
    """
    assert smaller.outcome is not None
    assert larger.outcome is not None
    ours, theirs = larger.outcome.val_losses, smaller.outcome.val_losses
    assert ours is not None
    assert theirs is not None
    differences = theirs.astype(np.float64) - ours
    se = float(differences.std(ddof=1) / sqrt(len(differences)))
    return float(differences.mean()), se
