"""When a network overfits is read off its curves, over its fresh seeds, and told as it is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.records import Candidate, Curve, Job, Outcome, Trial
from capsearch.report.overfit import (
    Overfit,
    Spread,
    Turn,
    baselines,
    finalists,
    in_words,
    pair_to_compare,
    turn_of,
)
from tests.samples import record_of

RECORD = record_of()
JOB = Job.of(Candidate((16,)), study_seed=0, replicate=1, epochs=9, patience=2)


def trial(*val_loss: float) -> Trial:
    curve = Curve(tuple(v - 0.1 for v in val_loss), val_loss, val_loss, val_loss)
    best = min(range(len(val_loss)), key=val_loss.__getitem__) + 1
    outcome = Outcome(curve, best, min(val_loss), 0.5)
    return Trial("t", "replicate", 0, "t", JOB, 1000, outcome)


def network(name: str, *turns: tuple[int, float], units: int = 16, turned: int = 99) -> Overfit:
    """Its seeds as (epoch of the turn, rise after it); the first `turned` of them turned."""
    found = tuple(
        Turn(epoch, 0.28, rise if i < turned else 0.0, 0.1, turned=i < turned)
        for i, (epoch, rise) in enumerate(turns)
    )
    return Overfit(name, Candidate((units,)), 1000 * units, (), found, None)


ORIGINAL = network("original", (3, 0.012), (4, 0.011), (5, 0.013))


def test_the_turn_is_read_off_a_curve_by_hand() -> None:
    found = turn_of(trial(0.5, 0.3, 0.4, 0.6))
    assert found is not None
    assert (found.epoch, found.lowest, found.turned) == (2, 0.3, True)
    assert found.rise == pytest.approx(0.15)
    assert found.gap == pytest.approx(0.1)


def test_a_curve_that_ends_at_its_lowest_has_not_turned() -> None:
    found = turn_of(trial(0.5, 0.4, 0.3))
    assert found is not None
    assert (found.epoch, found.rise, found.turned) == (3, 0.0, False)


@given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=12))
def test_loss_never_falls_after_its_turn(val_loss: list[float]) -> None:
    found = turn_of(trial(*val_loss))
    assert found is not None
    assert found.rise >= 0.0
    assert found.turned == (found.epoch < len(val_loss))


def test_a_failed_trial_has_no_turn() -> None:
    assert turn_of(trial(0.5).ended(Outcome.failed("diverged"))) is None


def test_a_spread_is_the_mean_the_standard_deviation_and_both_ends() -> None:
    assert Spread.of([1.0, 2.0, 3.0]) == Spread(2.0, 1.0, 1.0, 3.0, 3)
    assert Spread.of([2.0]) == Spread(2.0, 0.0, 2.0, 2.0, 1)


def test_means_differ_beyond_two_standard_errors_of_their_difference() -> None:
    # both sd 1 over 2 seeds: the error of the difference is sqrt(1/2 + 1/2) = 1
    assert Spread(0.0, 1.0, 0, 0, 2).differs(Spread(2.01, 1.0, 0, 0, 2))
    assert not Spread(0.0, 1.0, 0, 0, 2).differs(Spread(1.99, 1.0, 0, 0, 2))


def test_a_smaller_network_that_turns_later_and_rises_more_slowly() -> None:
    smaller = network("smaller", (9, 0.003), (10, 0.003), (8, 0.003), units=4)
    assert in_words(ORIGINAL, smaller) == (
        "The original network (1 layer of 16 units, 16,000 parameters) starts to overfit after "
        "epoch 4 (3 to 5 over 3 seeds), at a validation loss of 0.2800; from there its loss rises "
        "by 0.0120 per epoch. The smaller network (1 layer of 4 units, 4,000 parameters) starts to "
        "overfit later, after epoch 9 (8 to 10 over 3 seeds), at 0.2800, and its loss rises at "
        "25% of that pace (0.0030 per epoch)."
    )


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([(1, 0.03), (2, 0.03), (1, 0.03)], ["earlier", "rises 2.5 times as fast"]),
        ([(4, 0.012), (4, 0.013), (5, 0.011)], ["at about the same time", "rises about as fast"]),
        ([(4, 0.009)] * 3, ["4 (in every one of 3 seeds)", "at 75% of that pace"]),
        ([(4, 0.0001)] * 3, ["at 1% of that pace"]),
        ([(4, 0.006)], ["4 (1 seed)", "at 50% of that pace"]),
    ],
)
def test_what_happened_is_told_from_the_numbers(
    turns: list[tuple[int, float]], said: list[str]
) -> None:
    words = in_words(ORIGINAL, network("smaller", *turns, units=4))
    for part in said:
        assert part in words


def test_a_network_that_never_turned_is_said_not_to_have() -> None:
    still = network("smaller", (40, 0.0), (40, 0.0), units=4, turned=0)
    assert "4,000 parameters) never started to overfit" in in_words(ORIGINAL, still)
    assert "40 (in every one of 2 seeds)" in in_words(ORIGINAL, still)
    assert "never started" in in_words(still, ORIGINAL)


def test_seeds_that_did_not_turn_are_counted() -> None:
    some = network("original", (3, 0.01), (9, 0.0), turned=1)
    assert "in 1 of 2 seeds" in in_words(some, ORIGINAL)


def test_one_network_is_not_compared_with_itself() -> None:
    assert in_words(ORIGINAL, network("smaller", (4, 0.01))).endswith(
        "The smaller network is the same one."
    )


def test_baselines_come_as_the_study_file_lists_them() -> None:
    stored = replace(RECORD, trials=tuple(sorted(RECORD.trials, key=lambda t: t.id)))
    assert [o.name for o in baselines(stored)] == ["original", "smaller", "dropout", "L1 and L2"]


def test_every_baseline_and_finalist_is_described_over_all_of_its_fresh_seeds() -> None:
    assert [o.name for o in baselines(RECORD)] == ["original", "smaller", "dropout", "L1 and L2"]
    assert [o.candidate for o in finalists(RECORD)] == [e.candidate for e in RECORD.estimates]
    for found in baselines(RECORD) + finalists(RECORD):
        assert (
            len(found.turns) == len(found.curves) == RECORD.study.question["select"]["replicates"]
        )


def test_original_and_smaller_are_compared_and_without_them_best_and_selected() -> None:
    assert [o.name for o in pair_to_compare(RECORD)] == ["original", "smaller"]
    bare = record_of(baselines=False)
    first, second = pair_to_compare(bare)
    assert (first.name, second.name) == ("best", "selected")
    assert second.candidate == bare.choice.selected.candidate


def test_a_curve_over_folds_turns_where_it_is_lowest() -> None:
    """The median of the folds' best epochs may lie elsewhere."""
    run = trial(0.5, 0.4, 0.3, 0.6)
    assert run.outcome is not None
    found = turn_of(run.ended(replace(run.outcome, best_epoch=2)), folded=True)
    assert found is not None
    assert found.epoch == 3
    assert found.rise == pytest.approx(0.3)
