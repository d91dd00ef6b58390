"""What networks are judged by: hand-worked scores, and that only rows are read anew."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.selection import JUDGES
from capsearch.spec import StudySpec
from tests.fakes import profile_of, spec_of
from tests.pure.test_growth import trial

LOSSES = np.array([-log(0.8), -log(0.3)], np.float32)


@pytest.mark.parametrize(
    ("name", "scores", "blind", "margin"),
    [
        ("log_loss", [0.22314, 1.20397], 0.56234, 0.0104),
        ("error", [0.0, 1.0], 0.25, 0.0075),
        ("brier", [0.04, 0.49], 0.1875, 0.00375),
    ],
)
def test_a_row_is_judged_by_the_probability_of_its_true_class(
    name: str, scores: list[float], blind: float, margin: float
) -> None:
    """The margin is 1.5% of what knowing the class frequencies gives, here half and half."""
    judge = JUDGES[name]
    assert judge.scores(LOSSES) == pytest.approx(scores, abs=1e-5)
    assert judge.blind(0.25) == pytest.approx(blind, abs=1e-5)
    assert judge.blind(0.75) == pytest.approx(blind, abs=1e-5)
    assert judge.blind(0.0) == judge.blind(1.0) == 0.0
    asked = spec_of(select={"judge": name}).for_data(profile_of(), sparse=True)
    assert asked.select.margin == pytest.approx(margin)


@given(st.floats(0.001, 0.999))
def test_scores_are_those_of_the_probability(p: float) -> None:
    losses = np.array([-log(p)])
    assert JUDGES["brier"].scores(losses)[0] == pytest.approx((1.0 - p) ** 2, abs=1e-9)
    assert JUDGES["error"].scores(losses)[0] == float(exp(-losses[0]) < 0.5)


def test_trials_are_read_row_by_row_and_keep_their_mean_loss() -> None:
    done, failed = trial([-log(0.8), -log(0.3)]), trial(None)
    read = JUDGES["error"].read([done, failed])
    assert read[0].outcome is not None
    assert done.outcome is not None
    assert read[0].outcome.val_losses == pytest.approx([0.0, 1.0])
    assert read[0].outcome.val_loss == done.outcome.val_loss
    assert read[1] == failed
    assert JUDGES["log_loss"].read([done])[0].outcome is not None


def test_saying_the_default_asks_nothing_new_and_another_judge_does() -> None:
    plain, said, other = (
        spec_of(select=select) for select in ({}, {"judge": "log_loss"}, {"judge": "error"})
    )
    assert plain.identity == said.identity != other.identity
    asked = replace(plain.for_data(profile_of(), sparse=True).select)
    assert asked.judge == "log_loss"
    with pytest.raises(ValueError, match="error"):
        StudySpec.of({**spec_of().question, "select": {"judge": "accuracy"}})
