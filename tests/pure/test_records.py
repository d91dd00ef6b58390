"""Records are checked at birth and survive a trip through JSON."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.records import Candidate, Curve, Job, Outcome, digest_of

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
    assert job(study_seed=1).order != job().order
    other = Job.of(Candidate((9, 9, 9, 9)), study_seed=0, replicate=replicate, epochs=3, patience=2)
    assert other.order == job().order


def test_jobs_that_differ_in_anything_have_other_keys() -> None:
    job = Job(Candidate((4,)), seed=1, order=2, epochs=11, patience=3)
    others = [
        replace(job, candidate=Candidate((4,), l1=1e-9)),
        replace(job, seed=12, order=2, epochs=1),
        replace(job, seed=2, order=1),
        replace(job, patience=31),
        replace(job, stop_on="half"),
    ]
    assert len({j.key for j in [job, *others]}) == 6


def test_a_key_is_the_same_on_every_machine() -> None:
    assert Candidate((16, 16)).key == "32146f74dddd7ccd"
    assert digest_of({"b": 1, "a": [1.5, None]}) == digest_of({"a": [1.5, None], "b": 1})


def test_an_outcome_survives_json_with_its_nan() -> None:
    failed = Outcome.failed(
        "diverged", Curve((0.5, math.nan), (1, 1), (0.6, math.inf), (1, 1)), 2.0
    )
    back = Outcome.from_dict(json.loads(json.dumps(failed.as_dict(), allow_nan=False)))
    assert back.reason == "diverged"
    assert math.isnan(back.curve.loss[1])
    assert not back.complete


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Candidate((0,)),
        lambda: Candidate((4,), dropout=1.0),
        lambda: Candidate((4,), l1=-1e-9),
        lambda: Candidate((4,), learning_rate=0.0),
        lambda: Curve((1.0,), (), (1.0,), (1.0,)),
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
