"""What rungs learn from each other, once each has spent its own share of the budget.

Good settings are alike on rungs of nearly the same size, and a rung's own draws are few: so what is
left goes to the rungs that may hold the answer and all above, and each tries first what was best
beside it. All of it is read from the rungs' own shares, which have ended by then: nothing depends
on who was trained first. Pure functions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from capsearch.records import Trial
from capsearch.search.growth import best_of, paired_gain

ERRORS = 2.0  # standard errors of a paired difference that a rung may be behind by luck


def contested(rungs: Sequence[Sequence[Trial]], margin: float) -> list[int]:
    """The rungs that may hold the answer, by their own trials, and all above the smallest of these.

    The first are those whose best network is behind the best of all by no more than the margin and
    what luck explains. A larger network can do what a smaller one does: one that is behind was not
    searched for long enough. All rungs when no trial was complete.
    """
    lowest = best_of([trial for trials in rungs for trial in trials])
    for number, trials in enumerate(rungs):
        if lowest is not None and (mine := best_of(trials)) is not None:
            behind, error = paired_gain(mine, lowest)
            if behind <= margin + ERRORS * error:
                return list(range(number, len(rungs)))
    return list(range(len(rungs)))


def beside(rungs: Sequence[Sequence[Trial]], number: int, turn: int) -> list[Mapping[str, Any]]:
    """What was drawn for the best network of the rung below and of the one above, in this order.

    `turn`: 0 for the best, 1 for the second best, and so on. Widths are drawn as positions between
    the narrowest and the widest that lead into a rung, so they are scaled by being tried there.
    """
    found = list[Mapping[str, Any]]()
    for neighbour in (number - 1, number + 1):
        trials = rungs[neighbour] if 0 <= neighbour < len(rungs) else ()
        done = [t for t in trials if t.outcome and t.outcome.complete and t.draw]
        ranked = sorted(done, key=lambda t: (t.outcome.val_loss if t.outcome else 0.0, t.id))
        found += [t.draw["values"] for t in ranked[turn : turn + 1] if t.draw]
    return found
