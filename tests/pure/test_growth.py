"""When larger networks stop paying: by hand, and by properties."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.records import Candidate, Curve, Job, Outcome, RungEvidence, Trial
from capsearch.search.growth import best_of, evidence_of, paired_gain, reach
from capsearch.spec.strategies import PATIENCE, WINDOW


def trial(losses: Sequence[float] | None, units: int = 4) -> Trial:
    """A trial with these losses per row; a failed one without."""
    job = Job(Candidate((units,)), seed=1, shuffle_seed=1, epochs=1, patience=1)
    if losses is None:
        return Trial("search/0/0", "search", 0, "x", job, units, Outcome.failed("diverged"))
    rows, mean = np.array(losses, np.float32), float(np.mean(losses))
    outcome = Outcome(Curve((1.0,), (0.5,), (mean,), (0.5,)), 1, mean, 0.5, 0.0, None, rows)
    return Trial("search/0/0", "search", 0, "x", job, units, outcome)


def ladder_of(*means: float) -> list[list[Trial]]:
    """A trial a rung; its losses lie 0.01 around its mean, out of step with the next one's."""
    step = [(0.01, -0.01, 0.01, -0.01), (0.01, 0.01, -0.01, -0.01), (0.01, -0.01, -0.01, 0.01)]
    return [[trial([m + d for d in step[r % 3]], 4 + r)] for r, m in enumerate(means)]


def test_the_gain_is_the_mean_paired_difference_with_its_standard_error() -> None:
    gain, se = paired_gain(trial([0.5, 0.3, 0.4]), trial([0.3, 0.2, 0.4]))
    assert gain == pytest.approx(0.1)
    assert se == pytest.approx(0.0577, abs=1e-4)


def test_two_rungs_in_vain_open_no_more_until_one_that_is_open_pays() -> None:
    """Three are open beyond the complete ones; the fourth in vain would have opened the seventh."""
    evidence = evidence_of(ladder_of(0.5, 0.4, 0.401, 0.399, 0.3))
    assert [e.pays for e in evidence] == [True, True, False, False, True]
    assert [reach(evidence[:count]) for count in range(6)] == [3, 4, 5, 6, 6, 8]


def test_a_rung_is_compared_with_the_last_that_paid_so_small_gains_add_up() -> None:
    """The standard error of a difference is 0.0082: 0.006 is within it, twice 0.006 is not."""
    evidence = evidence_of(ladder_of(0.5, 0.494, 0.488))
    assert [e.pays for e in evidence] == [True, False, True]
    assert evidence[2].gain == pytest.approx(0.012, abs=1e-6)


def test_the_standard_error_of_differences_is_theirs_and_not_that_of_the_losses() -> None:
    hard_rows = [0.1, 0.9, 0.1, 0.9]
    evidence = evidence_of([[trial(hard_rows)], [trial([r - 0.001 for r in hard_rows])]])
    assert evidence[1].pays
    assert evidence[1].se == pytest.approx(0.0, abs=1e-6)


def test_a_rung_whose_trials_all_failed_does_not_pay_and_one_without_trials_was_not_opened() -> (
    None
):
    evidence = evidence_of([*ladder_of(0.5), [trial(None)], []])
    assert evidence[1] == RungEvidence(rung=1, opened=True)
    assert evidence[2] == RungEvidence(rung=2, opened=False)


def test_the_best_of_equal_trials_is_the_smallest_and_failed_ones_are_never_best() -> None:
    small, large = trial([0.3, 0.3], 2), trial([0.3, 0.3], 9)
    assert best_of([large, small, trial(None)]) is small
    assert best_of([trial(None)]) is None


@given(st.lists(st.booleans(), max_size=9))
def test_what_is_open_stays_open_and_growth_ends_only_when_all_of_it_was_in_vain(
    pays: list[bool],
) -> None:
    evidence = [RungEvidence(r, opened=True, pays=p) for r, p in enumerate(pays)]
    reached = [reach(evidence[:count]) for count in range(len(pays) + 1)]
    assert reached == sorted(reached)
    end = next((count for count, opened in enumerate(reached) if count == opened), None)
    if end is not None:
        in_vain = PATIENCE + WINDOW - 1  # the last that is open was opened by the first of these
        assert pays[end - in_vain : end] == [False] * in_vain
