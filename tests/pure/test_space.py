"""Every draw lands on its rung, and sizes are counted as Keras counts them."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.families import dense
from capsearch.families.dimension import Choices, Dimension, Integers, Reals
from capsearch.families.space import Space, bands, count_parameters, ladder, rung_of
from capsearch.records import Candidate
from tests.fakes import Dice

ROOT = Path(__file__).parents[2]


def imdb_space(features: int = 10_000, **changes: Any) -> Space:
    settings: dict[str, Any] = {
        "layers": Integers(0, 3),
        "units": Integers(1, 256, log=True),
        "l1": Reals(1e-8, 1e-3, log=True, off=True),
        "dropout": Reals(0.0, 0.6),
        "learning_rate": Reals(3e-4, 3e-2, log=True),
    }
    searched = settings | changes
    return Space(features, Candidate(()), searched.pop("layers"), searched.pop("units"), searched)


def test_parameters_are_kernels_and_biases() -> None:
    assert count_parameters((16, 16), 10_000) == 160_305
    assert count_parameters((4, 4), 10_000) == 40_029
    assert count_parameters((), 10_000) == 10_001
    assert count_parameters((16, 16), 10_000, 10) == 160_458
    assert count_parameters((), 10_000, 10) == 100_010


def test_the_ladder_of_imdb_is_a_linear_model_and_rungs_of_networks_each_2_2_times_larger() -> None:
    edges = ladder(imdb_space(), 8)
    assert edges[:2] == (10_001, count_parameters((1,), 10_000))
    assert edges[-1] == count_parameters((256, 256, 256), 10_000) + 1
    ratios = [b / a for a, b in pairwise(edges[1:])]
    assert len(edges) == 9
    assert max(ratios) / min(ratios) < 1.01


@given(st.integers(2, 30), st.integers(0, 2**32))
def test_with_several_outputs_a_linear_model_is_no_longer_the_smallest(
    outputs: int, seed: int
) -> None:
    """Its rung is the one that its size belongs to, and it is drawn there as one depth of several.

    By hand, 100 features and 3 outputs: linear 303, one unit 101 + 6 = 107.
    """
    space = replace(imdb_space(100), outputs=outputs)
    edges = ladder(space, 6)
    assert edges[0] == count_parameters((1,), 100, outputs) == 101 + 2 * outputs
    assert list(edges) == sorted(set(edges))
    home = rung_of(count_parameters((), 100, outputs), edges)
    drawn = [space.draw(Dice(seed + n), bands(edges)[home]) for n in range(40)]
    assert any(not candidate.units for candidate in drawn)
    for rung, band in enumerate(bands(edges)):
        assert rung_of(space.parameters(space.draw(Dice(seed), band)), edges) == rung


@given(st.integers(0, 2**32))
def test_only_a_linear_model_is_drawn_on_its_rung_and_none_above(seed: int) -> None:
    space = imdb_space()
    units = [space.draw(Dice(seed), band).units for band in bands(ladder(space, 8))]
    assert [len(u) == 0 for u in units] == [True] + [False] * 7


@given(st.integers(0, 7), st.integers(0, 2**32))
def test_every_draw_lands_on_its_rung(rung: int, seed: int) -> None:
    space = imdb_space()
    edges = ladder(space, 8)
    candidate = space.draw(Dice(seed), bands(edges)[rung])
    assert rung_of(space.parameters(candidate), edges) == rung
    assert all(1 <= width <= 256 for width in candidate.units)
    assert len(candidate.units) <= 3


@given(
    st.integers(1, 200), st.integers(0, 3), st.integers(0, 3), st.integers(1, 9),
    st.integers(0, 40), st.integers(1, 10), st.integers(0, 999),
)  # fmt: skip
def test_a_ladder_covers_any_space_and_its_draws_stay_in_it(
    features: int, low: int, more: int, narrow: int, wider: int, rungs: int, seed: int
) -> None:
    layers, units = Integers(low, low + more), Integers(narrow, narrow + wider)
    space = imdb_space(features, layers=layers, units=units)
    edges = ladder(space, rungs)
    assert 2 <= len(edges) <= rungs + 1
    assert list(edges) == sorted(set(edges))
    for band in bands(edges):
        candidate = space.draw(Dice(seed), band)
        assert edges[0] <= space.parameters(candidate) < edges[-1]
        assert low <= len(candidate.units) <= low + more
        assert all(narrow <= width <= narrow + wider for width in candidate.units)


def test_the_dimensions_that_optuna_sees_do_not_depend_on_what_was_drawn_before() -> None:
    space = imdb_space(layers=Integers(2, 2))
    band = bands(ladder(space, 4))[1]
    asked = []
    for seed in range(20):
        dice = Dice(seed)
        space.draw(dice, band)
        asked.append(dice.asked)
    assert all(each == asked[0] for each in asked)


def test_a_linear_model_has_no_dropout() -> None:
    space = imdb_space(layers=Integers(0, 0))
    dice = Dice(0)
    candidate = space.draw(dice, bands(ladder(space, 8))[0])
    assert candidate.units == ()
    assert candidate.dropout == 0.0
    assert "dropout" not in dice.asked


def test_what_is_not_searched_keeps_its_fixed_value() -> None:
    fixed = Candidate((), l2=0.125, dropout=0.25, batch_size=64, optimizer="sgd")
    space = Space(10, fixed, Integers(1, 1), Integers(3, 3), {})
    candidate = space.draw(Dice(0), bands(ladder(space, 8))[0])
    assert candidate == Candidate((3,), l2=0.125, dropout=0.25, batch_size=64, optimizer="sgd")


@pytest.mark.parametrize("off", [0.25, 0.5, 0.75])
def test_a_dimension_that_can_be_off_is_off_in_its_share_of_draws(off: float) -> None:
    reach = Reals(1e-8, 1e-3, log=True, off=True)
    drawn = [reach.draw("l1", Dice(seed), off) for seed in range(400)]
    assert abs(drawn.count(0.0) / 400 - off) < 0.1
    assert all(1e-8 <= value <= 1e-3 for value in drawn if value)


def test_penalties_are_mostly_off_and_dropout_where_a_layer_is_narrow() -> None:
    off = {d.name: d.off for d in dense.SETTINGS}
    assert [off["l1"](()), off["l2"]((16,))] == [0.75, 0.75]
    assert [off["dropout"](units) for units in [(1,), (2, 64), (64, 3)]] == [0.5, 0.25, 0.125]


@pytest.mark.parametrize("log", [False, True])
def test_positions_reach_from_off_to_both_ends(log: bool) -> None:
    """By hand, a quarter off: 1/4 is the low end, 5/8 half way (on its scale), 1 the high end."""
    reach, half_way = Reals(0.01, 0.25, log=log, off=True), 0.05 if log else 0.13
    expected = {0.0: 0.0, 0.2499: 0.0, 0.25: 0.01, 0.625: half_way, 1.0: 0.25}
    for position, value in expected.items():
        assert reach.draw("x", At(position), 0.25) == pytest.approx(value)
    assert reach.draw("x", At(1.0), 0.25) <= 0.25


class At(Dice):
    """Suggests this position, whatever it is asked for."""

    def __init__(self, position: float) -> None:
        super().__init__(0)
        self.position = position

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        assert (low, high, log) == (0.0, 1.0, False)
        return self.position


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Integers(3, 2), "low \\(3\\) must not be above high \\(2\\)"),
        (lambda: Reals(0.0, 1.0, log=True), "must be above 0 on a log scale"),
    ],
)
def test_an_impossible_range_is_refused_at_birth(wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()


ORDER = ["layers", "width_1", "l1_position", "l2", "dropout", "learning_rate", "batch_size"]


def test_optuna_is_asked_for_the_same_names_in_the_same_order_as_ever() -> None:
    layers, on = Integers(1, 1), Reals(0.1, 0.5)
    space = imdb_space(layers=layers, l2=on, batch_size=Choices((8, 9)), optimizer=Choices("a"))
    asked = list[list[str]]()
    for seed in range(9):
        dice = Dice(seed)
        space.draw(dice, bands(ladder(space, 1))[0])
        asked.append(list(dice.asked))
    assert max(asked, key=len) == [*ORDER, "optimizer"]


SETTING = Dimension("x", "the x", default=3.0, least=0, below=9, form="{:.1f}")


@pytest.mark.parametrize("value", [-0.1, 9.0, float("nan"), float("inf")])
def test_a_value_that_is_not_legal_is_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match=f"not {value}"):
        SETTING.legal(value)
    assert SETTING.legal(8.9) == 8.9


@pytest.mark.parametrize(
    ("dimension", "reach", "named"),
    [
        (SETTING, Reals(-1.0, 2.0), r"low \(-1\).*0 or more"),
        (SETTING, Reals(1.0, 9.5), r"high \(9.5\).*below 9"),
        (SETTING, Reals(1.0, float("nan")), "high.*finite"),
        (Dimension("x", "x", above=0), Reals(0.5, 2.0, off=True), "off.*above 0"),
        (dense.UNITS, Integers(0, 3), r"low \(0\).*1 or more"),
        (dense.SETTINGS[5], ("adam", "adm"), "'adm'.*'adam', 'rmsprop' or 'sgd'"),
        (dense.SETTINGS[-1], (), "at least one"),
    ],
)
def test_a_range_with_a_value_that_is_not_legal_is_refused(
    dimension: Dimension, reach: object, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        dimension.searched(reach)


def test_settings_that_differ_are_columns_of_a_table_and_those_that_do_not_are_said_once() -> None:
    plain = dense.candidate_of((4,), {"batch_size": 16})
    other = dense.candidate_of((4,), {"batch_size": 16, "l1": 0.00123, "dropout": 0.5})
    assert [name for name, *_ in dense.shown_settings(plain)] == [d.name for d in dense.SETTINGS]
    table = [dense.shown_settings(row, among=[plain, other]) for row in (plain, other)]
    assert table[0] == [("l1", "L1", "–"), ("dropout", "dropout", "–")]
    assert table[1] == [("l1", "L1", "0.0012"), ("dropout", "dropout", "0.50")]
    assert dense.common_settings([plain, other]) == [("batch size", "16")]
    assert dense.common_settings([Candidate((4,)), plain]) == []


def test_a_candidate_keeps_its_key_when_its_family_gets_a_new_setting() -> None:
    candidate = dense.candidate_of((4,), dense.settings_of(Candidate((4,), l2=0.5)))
    assert candidate == Candidate((4,), l2=0.5)
    further = Candidate((4,), extra=(("momentum", 0.5),))
    assert Candidate.from_dict(json.loads(json.dumps(further.as_dict()))) == further
    assert further.key != Candidate((4,)).key


MADE_UP = """
import json, sys
from dataclasses import replace
from capsearch.families import dense
from capsearch.families.dimension import Dimension
dense.SETTINGS += (Dimension("momentum", "the momentum", 0.9, least=0, below=1.0, form="{:.3f}"),)
from capsearch import spec
from capsearch.families.space import bands, ladder
from capsearch.records import Candidate
from capsearch.report.checks import CHECKS
from tests.fakes import Dice, spec_of, study_of
from tests.samples import record_of
plain = spec_of()
asked = spec_of(
    space=plain.question["space"] | {"momentum": {"low": 0.5, "high": 0.8}},
    baseline=[{"name": "a", "units": [4], "momentum": 0.25}],
)
space = asked.space_for(20)
drawn = [space.draw(Dice(0), band) for band in bands(ladder(space, 3))]
record = record_of()
top = replace(record.choice.best, candidate=Candidate((4,), extra=(("momentum", 0.8),)))
choice = replace(record.choice, best=top, selected=top)
record = replace(
    record, study=study_of(asked), decision=replace(record.decision, choice=choice)
)
json.dump({
    "file": asked.question["space"]["momentum"],
    "training": [plain.question["training"]["momentum"], plain.fixed().key],
    "identity": plain.identity,
    "baseline": asked.baselines()[0][1].as_dict(),
    "drawn": [c.as_dict().get("momentum") for c in drawn],
    "settings": dense.settings_of(drawn[0]),
    "shown": dense.shown_settings(top.candidate)[-1],
    "check": CHECKS["CS003"](record).sentence,
}, sys.stdout)
"""


@pytest.mark.integration
def test_a_new_setting_is_one_more_entry_in_its_familys_list() -> None:
    run = subprocess.run(
        [sys.executable, "-c", MADE_UP], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["file"] == {"low": 0.5, "high": 0.8, "log": False, "off": False}
    assert found["training"] == [0.9, Candidate((), batch_size=16).key]
    assert "momentum" not in json.dumps(found["identity"])
    assert found["baseline"]["momentum"] == 0.25
    assert all(0.5 <= momentum <= 0.8 for momentum in found["drawn"])
    assert found["settings"]["momentum"] == found["drawn"][0]
    assert found["shown"] == ["momentum", "the momentum", "0.800"]
    assert "the momentum (0.800)" in found["check"]


def test_reading_a_study_file_needs_no_slow_library() -> None:
    code = "import sys, capsearch.spec; print({'keras', 'tensorflow', 'optuna'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@given(st.integers(1, 100), st.integers(1, 20), st.integers(1, 8))
def test_the_edges_of_a_ladder_grow_whatever_the_outputs(
    features: int, outputs: int, rungs: int
) -> None:
    """With several outputs the linear model is larger than a network of one unit."""
    space = replace(imdb_space(features), outputs=outputs)
    edges = ladder(space, rungs)
    assert list(edges) == sorted(set(edges))
    sizes = [space.parameters(Candidate(units)) for units in ((), (space.units.low,))]
    assert min(sizes) >= edges[0]
