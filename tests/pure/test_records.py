"""Records are checked at birth and survive a trip through JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.records import KINDS, Candidate, Curve, Failure, Job, Outcome, Trial, failures

candidates = st.builds(
    Candidate,
    units=st.lists(st.integers(1, 256), max_size=3).map(tuple),
    l1=st.floats(0, 1),
    l2=st.floats(0, 1),
    dropout=st.floats(0, 0.9),
    learning_rate=st.floats(1e-6, 1),
    batch_size=st.integers(1, 4096),
    optimizer=st.sampled_from(["adam", "sgd"]),
)


@given(candidates)
def test_a_candidate_survives_json(candidate: Candidate) -> None:
    back = Candidate.from_dict(json.loads(json.dumps(candidate.as_dict())))
    assert back == candidate
    assert back.key == candidate.key


@given(candidates, st.integers(0, 9))
def test_seeds_depend_on_the_study_the_candidate_and_the_replicate_alone(
    candidate: Candidate, replicate: int
) -> None:
    def job(**changes: Any) -> Job:
        settings: dict[str, Any] = {
            "study_seed": 0,
            "replicate": replicate,
            "epochs": 3,
            "patience": 2,
        } | changes
        return Job.of(candidate, **settings)

    assert job() == job()
    assert job(epochs=6).seed == job().seed
    assert job(replicate=replicate + 1).seed != job().seed
    assert job(study_seed=1).shuffle_seed != job().shuffle_seed
    other = Job.of(Candidate((9, 9, 9, 9)), study_seed=0, replicate=replicate, epochs=3, patience=2)
    assert other.shuffle_seed == job().shuffle_seed


def test_jobs_that_differ_in_anything_have_other_keys() -> None:
    job = Job(Candidate((4,)), seed=1, shuffle_seed=2, epochs=11, patience=3)
    others = [
        replace(job, candidate=Candidate((4,), l1=1e-9)),
        replace(job, seed=12, shuffle_seed=2, epochs=1),
        replace(job, seed=2, shuffle_seed=1),
        replace(job, patience=31),
        replace(job, stop_on="half"),
        replace(job, engine="packed/1/cpu"),
        replace(job, engine="packed/2/cpu"),
        replace(job, data="packed/1/cpu"),
    ]
    assert len({j.key for j in [job, *others]}) == 9


def test_a_failure_has_a_kind_and_says_what_it_is_unless_it_is_told_better() -> None:
    plain, told = Outcome.failed("timeout"), Outcome.failed("timeout", "timed out after 3 s")
    assert plain.failure == Failure("timeout", "timed out")
    assert (told.reason, told.complete) == ("timed out after 3 s", False)


def test_failures_are_counted_by_their_kind_the_most_frequent_first() -> None:
    job = Job(Candidate((4,)), seed=1, shuffle_seed=2, epochs=1, patience=1)
    ended = [
        Outcome.failed("timeout"),
        Outcome.failed("diverged", "diverged: loss became NaN or infinite at epoch 2"),
        Outcome.failed("diverged", "diverged: loss became NaN or infinite at epoch 7"),
    ]
    trials = [Trial("t", "search", 0, "4", job, 9, outcome) for outcome in ended]
    assert failures(trials) == f"2 x {KINDS['diverged']}; 1 x {KINDS['timeout']}"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Candidate((0,)),
        lambda: Candidate((4,), dropout=1.0),
        lambda: Candidate((4,), l1=-1e-9),
        lambda: Candidate((4,), learning_rate=0.0),
        lambda: Curve((1.0,), (), (1.0,), (1.0,)),
        lambda: Curve((1.0,), (), (1.0,), (), (1.0,), ()),
        lambda: Curve((1.0,), (1.0,), (1.0,), (1.0,), (1.0,), (1.0,)),
        lambda: Outcome(Curve((1.0,), (1.0,), (1.0,), (1.0,)), best_epoch=2, val_loss=1.0),
        lambda: Outcome(Curve((1.0,), (1.0,), (1.0,), (1.0,)), best_epoch=1),
    ],
)
def test_an_impossible_record_is_refused_at_birth(wrong: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is for people
        wrong()  # type: ignore[operator]


def test_a_best_epoch_at_the_last_one_allowed_is_at_the_ceiling() -> None:
    def outcome(best: int, epochs: int) -> Outcome:
        flat = (0.5,) * epochs
        return Outcome(Curve(flat, flat, flat, flat), best, 0.5, 0.5)

    assert outcome(3, 3).at_ceiling(3)
    assert not outcome(2, 3).at_ceiling(3)
    assert not outcome(3, 3).at_ceiling(5)
