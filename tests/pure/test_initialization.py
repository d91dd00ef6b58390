"""How networks begin: what each initialization promises of every unit, and to which networks."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.initialization import SHIFT, for_rows, initial_weights
from capsearch.records import Candidate
from tests.fakes import profile_of, spec_of

SEARCHED = {
    "layers": {"low": 1, "high": 1},
    "units": {"low": 1, "high": 8},
    "initialization": ["keras", "shifted"],
}
UNITS = st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple)


def begun(kind: str, units: tuple[int, ...], seed: int, features: int = 30) -> list[np.ndarray]:
    return initial_weights(Candidate(units, extra=(("initialization", kind),)), features, seed)


@given(UNITS, st.integers(0, 2**31 - 1))
def test_shifted_units_begin_at_the_shift_and_the_output_at_zero(
    units: tuple[int, ...], seed: int
) -> None:
    values = np.zeros((1, 30), np.float32)
    weights = begun("shifted", units, seed)
    *hidden, (kernel, bias) = zip(weights[::2], weights[1::2], strict=True)
    for number, (inner, shift) in enumerate(hidden):
        values = np.maximum(values @ inner + shift, 0)
        assert values == pytest.approx(np.full_like(values, SHIFT), abs=1e-4), number
    assert (values @ kernel + bias).item() == pytest.approx(0, abs=1e-3)
    assert abs(int((kernel > 0).sum()) - int((kernel < 0).sum())) <= 1


@given(UNITS, st.integers(2, 12), st.integers(0, 2**31 - 1))
def test_each_of_several_outputs_begins_at_zero_with_as_many_units_up_as_down(
    units: tuple[int, ...], outputs: int, seed: int
) -> None:
    candidate = Candidate(units, extra=(("initialization", "shifted"),))
    *_, kernel, bias = initial_weights(candidate, 30, seed, outputs)
    assert kernel.shape == (units[-1], outputs)
    assert SHIFT * kernel.sum(axis=0) + bias == pytest.approx(np.zeros(outputs), abs=1e-3)
    apart = (kernel > 0).sum(axis=0) - (kernel < 0).sum(axis=0)
    assert np.abs(apart).max() <= 1
    if units[-1] == 1:  # or no two classes could be told apart by it
        assert {-1, 1} == set(apart.tolist())


@given(UNITS, st.integers(0, 2**31 - 1))
def test_the_layers_below_do_not_depend_on_how_many_outputs_there_are(
    units: tuple[int, ...], seed: int
) -> None:
    one, five = (initial_weights(Candidate(units), 30, seed, outputs) for outputs in (1, 5))
    for ours, theirs in zip(one[:-2], five[:-2], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_linear_model_begins_as_keras_begins_it() -> None:
    pairs = zip(begun("shifted", (), 3), begun("keras", (), 3), strict=True)
    assert all((ours == keras).all() for ours, keras in pairs)


@pytest.mark.parametrize("sparse", [True, False])
def test_candidates_have_what_suits_their_rows_and_baselines_what_keras_does(sparse: bool) -> None:
    asked = spec_of(baseline=[{"name": "original", "units": [16, 16]}])
    filled = asked.for_data(profile_of(), sparse=sparse)
    assert filled.fixed().setting("initialization", "keras") == for_rows(sparse=sparse)
    (_, original), *_ = filled.baselines()
    assert original.setting("initialization", "keras") == "keras"
    assert original.key == asked.baselines()[0][1].key
    assert type(filled).from_question(filled.question) == filled


def test_what_a_study_says_itself_stands() -> None:
    def filled(**said: Any) -> Any:
        return spec_of(**said).for_data(profile_of(), sparse=True).training

    assert filled(training={"initialization": "keras"}).initialization == "keras"
    assert filled(space=SEARCHED).initialization is None
