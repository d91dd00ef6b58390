"""What the packed engine is made of: the batch plan, the stored form of a network, the masks."""

from typing import Any

import numba
import numpy as np
import pytest
from scipy import sparse

from capsearch.data.source import Rows, SearchData
from capsearch.engines.packed import batches as batches_module
from capsearch.engines.packed.batches import Batches
from capsearch.engines.packed.compiling import cached, compiled
from capsearch.engines.packed.dense import DenseRows
from capsearch.engines.packed.kernels import _activate
from capsearch.engines.packed.network import SparseNetworks
from capsearch.engines.packed.stack import DenseNetworks
from capsearch.engines.packed.subnormals import flush, restore
from capsearch.initialization import initial_weights
from capsearch.randomness import row_order
from capsearch.records import Candidate
from capsearch.tasks import Binary
from tests.contracts.engine import job

pytestmark = pytest.mark.integration


@pytest.fixture
def data() -> SearchData:
    rng = np.random.default_rng(3)
    x = sparse.csr_matrix(sparse.random(50, 30, density=0.1, rng=rng, dtype=np.float32))
    y = (rng.random(50) < 0.5).astype(np.float32)
    return SearchData(Rows(x[:40], y[:40]), Rows(x[40:], y[40:]))


def test_a_plan_holds_every_batch_column_by_column(data: SearchData) -> None:
    plan = Batches(data).plan(order=9, size=16, epoch=2)
    order = row_order(9, 2, 40)
    np.testing.assert_array_equal(plan.order, order)
    for index, begin in enumerate(range(0, 40, 16)):
        expected = data.train.x[order[begin : begin + 16]].tocsc()
        starts = plan.starts[index]
        inside = slice(starts[0], starts[-1])
        np.testing.assert_array_equal(starts - starts[0], expected.indptr)
        np.testing.assert_array_equal(plan.members[inside], expected.indices)
        np.testing.assert_array_equal(plan.values[inside], expected.data)


def test_an_epoch_is_planned_once_while_there_is_room(
    data: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Batches(data)
    assert batches.plan(1, 16, 0) is batches.plan(1, 16, 0)
    monkeypatch.setattr(batches_module, "PLAN_BYTES", 0)
    assert batches.plan(1, 16, 1) is not batches.plan(1, 16, 1)


def test_plans_of_another_order_are_dropped(data: SearchData) -> None:
    batches = Batches(data)
    first = batches.plan(1, 16, 0)
    batches.keep_only({2})
    assert batches.plan(1, 16, 0) is not first


@pytest.mark.parametrize("share", [0.05, 0.9])
def test_the_form_follows_the_share_of_nonzeros_not_the_container(share: float) -> None:
    rng = np.random.default_rng(0)
    x = ((rng.random((20, 40)) < share) * rng.random((20, 40))).astype(np.float32)
    y = np.zeros(20, np.float32)
    for form in (x, sparse.csr_matrix(x)):
        batches = Batches(SearchData(Rows(form, y), Rows(form, y)))
        assert batches.is_sparse == (share < 0.5)
        assert isinstance(batches.train, DenseRows) != batches.is_sparse


@pytest.mark.parametrize("kind", [SparseNetworks, DenseNetworks])
@pytest.mark.parametrize("units", [(), (1,), (7,), (19, 3), (5, 40, 2)])
def test_a_network_gives_back_the_weights_it_was_made_of(
    units: tuple[int, ...], kind: type[SparseNetworks | DenseNetworks]
) -> None:
    asked = job(Candidate(units))
    back = kind([asked], 30, Binary(("no", "yes"))).snapshot(0)()
    expected = initial_weights(asked.candidate, 30, asked.seed)
    for ours, theirs in zip(back, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def masked(rate: float, seed: int, layer: int, step: int) -> np.ndarray:
    out = np.ones((500, 40), np.float32)
    _activate(out, rate, seed, layer, step)
    return out


def test_dropout_keeps_its_share_and_its_mean() -> None:
    out = masked(0.3, 1, 1, 1)
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.7)}
    assert (out == 0).mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / out.size))
    columns, rows = ((out == 0).mean(axis=axis) for axis in (0, 1))
    assert columns.std() == pytest.approx(np.sqrt(0.21 / 500), rel=0.5)
    assert rows.std() == pytest.approx(np.sqrt(0.21 / 40), rel=0.15)


@pytest.mark.parametrize("other", [(2, 1, 1), (1, 2, 1), (1, 1, 2)])
def test_masks_of_another_seed_layer_or_step_are_unrelated(other: tuple[int, int, int]) -> None:
    a, b = masked(0.5, 1, 1, 1) > 0, masked(0.5, *other) > 0
    assert (a == b).mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(a.size))


def test_relu_without_dropout_only_cuts_at_zero() -> None:
    out = np.array([[-1.0, 0.0, 2.0]], np.float32)
    _activate(out, 0.0, 1, 1, 1)
    assert out.tolist() == [[0.0, 0.0, 2.0]]


def test_kernels_compile_where_no_folder_can_hold_their_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(_double)
    assert cached(_double)(3) == 6


def _double(x: int) -> int:
    return 2 * x


@compiled
def _halves(values, flushed):  # type: ignore[no-untyped-def]
    before = flush()
    for at in range(values.size):
        flushed[at] = values[at] * np.float32(0.5)
    restore(before)


def test_the_smallest_numbers_are_zero_while_kernels_run_and_only_then() -> None:
    values, flushed = np.array([1e-38, 1e-40, 1.0], np.float32), np.empty(3, np.float32)
    _halves(values, flushed)
    np.testing.assert_array_equal(flushed, np.array([0, 0, 0.5], np.float32))
    assert (values * np.float32(0.5))[0] > 0


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("density", [0.1, 0.9], ids=["sparse", "dense"])
def test_a_column_that_stays_away_does_not_fade_into_numbers_that_take_long(
    optimizer: Any, density: float
) -> None:
    """Column 0 has ones in the first 50 batches, and in none of the 1,550 others."""
    rng = np.random.default_rng(4)
    x = sparse.random(3200, 20, density=density, rng=rng, dtype=np.float32).toarray()
    x[:, 0], x[row_order(7, 0, 3200)[:100], 0] = 0, 1
    y = (x[:, 1:].sum(axis=1) > density * 9.5).astype(np.float32)
    rows = Rows(sparse.csr_matrix(x), y)
    batches = Batches(SearchData(rows, rows))
    networks: Any = batches.networks([job(Candidate((3,), optimizer=optimizer, batch_size=2))])
    networks.train_epoch(batches.train, batches.plan(7, 2, 0), 2, 0)
    held = networks._held if isinstance(networks, DenseNetworks) else networks._net
    floats = [v for v in held if isinstance(v, np.ndarray) and v.dtype == np.float32]
    assert len(floats) > 3
    for values in floats:
        assert np.isfinite(values).all()
        assert not ((values != 0) & (np.abs(values) < np.finfo(np.float32).tiny)).any()
