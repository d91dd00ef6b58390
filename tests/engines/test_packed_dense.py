# mypy: disable-error-code="untyped-decorator, no-untyped-call"
"""The kernels for dense rows against plain NumPy, in every odd shape.

The reference is written from the formulas, in double precision and row by row; it shares with the
kernels what dropout's masks are, which `test_packed_dropout` compares with Keras.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsearch.data.source import Rows, SearchData
from capsearch.engines.packed import PackedEngine
from capsearch.engines.packed.compiling import StampedCache, compiled, stamp
from capsearch.engines.packed.functions import exp, log, log1p, total
from capsearch.engines.packed.simd import address, load, store
from capsearch.engines.packed.tiles import dots, multiply, turn
from capsearch.initialization import initial_weights
from capsearch.randomness import row_order
from capsearch.records import Candidate, Job
from capsearch.tasks import Binary, Multiclass, Multilabel, Regression, Task
from capsearch.tasks.weights import row_weights
from tests.engines.test_packed_dropout import masks

pytestmark = pytest.mark.integration

TASKS: dict[str, Task] = {
    "logit": Binary(),
    "softmax": Multiclass(tuple("abcde")),
    "sigmoids": Multilabel(tuple("abc")),
    "squared": Regression(mean=0.0, scale=1.0),
    "huber": Regression(mean=0.0, scale=1.0, loss="huber", delta=0.5),
}
EPSILON = 1e-7


def rows_of(task: Task, rows: int, features: int, seed: int, weighted: bool) -> Rows:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)).astype(np.float32)
    y: np.ndarray
    match task:
        case Binary():
            y = rng.integers(0, 2, rows)
        case Multiclass():
            y = rng.integers(0, task.outputs, rows)
        case Multilabel():
            y = rng.integers(0, 2, (rows, task.outputs))
        case _:
            y = rng.normal(size=rows)
    weight = rng.uniform(0.5, 2.0, rows).astype(np.float32) if weighted else None
    return Rows(x, y.astype(np.float32), weight)


def counted(task: Task, rows: Rows) -> np.ndarray:
    counts = row_weights(task, rows.y, rows.weight)
    return np.ones(len(rows)) if counts is None else counts


def judged(task: Task, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses of rows, and their gradients, by z (rows, outputs)."""
    if isinstance(task, Multiclass):
        powers = np.exp(z - z.max(axis=1, keepdims=True))
        likely, hit = powers / powers.sum(axis=1, keepdims=True), np.eye(z.shape[1])[y.astype(int)]
        return -np.log((likely * hit).sum(axis=1)), likely - hit
    if isinstance(task, Regression):
        error = z - y[:, None]
        if task.loss == "huber":
            slope = np.clip(error, -task.delta, task.delta)
            return (slope * (error - slope / 2))[:, 0], slope
        return (error**2)[:, 0], 2 * error
    y = y.reshape(len(y), -1)
    losses = np.logaddexp(0, z) - y * z
    return losses.mean(axis=1), (1 / (1 + np.exp(-z)) - y) / z.shape[1]


def stepped(c: Candidate, w: Any, g: Any, slots: Any, step: int) -> Any:
    """The value after a step by Keras' formulas; slots are changed in place."""
    first, second = slots
    if c.optimizer == "adam":
        first += (g - first) * 0.1
        second += (g * g - second) * 0.001
        rate = c.learning_rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        return w - rate * first / (np.sqrt(second) + EPSILON)
    if c.optimizer == "rmsprop":
        first[...] = 0.9 * first + 0.1 * g * g
        return w - c.learning_rate * g / np.sqrt(first + EPSILON)
    first[...] = 0.9 * first - c.learning_rate * g
    return w + first


def trained(asked: Job, rows: Rows, task: Task) -> tuple[list[float], list[np.ndarray]]:
    """Training loss of each epoch and the weights at the end."""
    c, counts = asked.candidate, counted(task, rows)
    weights = [
        w.astype(np.float64) for w in initial_weights(c, rows.x.shape[1], asked.seed, task.outputs)
    ]
    slots = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    losses, step = [], 0
    for epoch in range(asked.epochs):
        order, summed = row_order(asked.shuffle_seed, epoch, len(rows)), 0.0
        for begin in range(0, len(rows), c.batch_size):
            picked, step = order[begin : begin + c.batch_size], step + 1
            drawn: Sequence[Any] = [1.0 for _ in c.units]
            if c.dropout:
                drawn = masks(c, c.units, asked.seed, step, len(picked))
            hidden = [rows.x[picked].astype(np.float64)]
            for layer, mask in enumerate(drawn):
                z = hidden[-1] @ weights[2 * layer] + weights[2 * layer + 1]
                hidden.append(np.maximum(z, 0) * mask)
            z = hidden[-1] @ weights[-2] + weights[-1]
            found, delta = judged(task, z, rows.y[picked])
            summed += float((found * counts[picked]).sum())
            delta = delta * counts[picked, None] / len(picked)
            after = list(weights)
            for layer in range(len(c.units), -1, -1):
                kernel = weights[2 * layer]
                gradients = hidden[layer].T @ delta, delta.sum(axis=0)
                gradients[0][...] += c.l1 * np.sign(kernel) + 2 * c.l2 * kernel
                for at, g in enumerate(gradients, start=2 * layer):
                    after[at] = stepped(c, weights[at], g, slots[at], step)
                if layer:
                    delta = (delta @ kernel.T) * (hidden[layer] > 0) * drawn[layer - 1]
            weights = after
        losses.append(summed / len(rows))
    return losses, weights


WIDTHS = st.one_of(st.integers(1, 9), st.integers(10, 70))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    units=st.lists(WIDTHS, max_size=3).map(tuple),
    features=st.one_of(st.integers(1, 20), st.integers(21, 130)),
    rows=st.integers(1, 180),
    batch=st.sampled_from([5, 32, 64, 100, 150, 512]),
    optimizer=st.sampled_from(["adam", "rmsprop", "sgd"]),
    task=st.sampled_from(sorted(TASKS)),
    dropout=st.sampled_from([0.0, 0.0, 0.3]),
    weighted=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_an_epoch_is_what_the_formulas_say(
    units: tuple[int, ...],
    features: int,
    rows: int,
    batch: int,
    optimizer: Literal["adam", "rmsprop", "sgd"],
    task: str,
    dropout: float,
    weighted: bool,
    seed: int,
) -> None:
    """Losses of two epochs, weights after them, and how these judge other rows."""
    kind = TASKS[task]
    c = Candidate(
        units, l1=1e-3, l2=1e-2, dropout=dropout, learning_rate=0.01, batch_size=batch,
        optimizer=optimizer,
    )  # fmt: skip
    asked = Job(c, seed=seed, shuffle_seed=seed + 1, epochs=2, patience=2)
    train = rows_of(kind, rows, features, seed, weighted)
    data = SearchData(train, rows_of(kind, 70, features, seed + 1, weighted), kind)
    (ours,) = PackedEngine(threads=1).train([asked], data)
    expected, weights = trained(asked, train, kind)
    # Adam and RMSprop divide a gradient by its own size: one that is rounding alone counts.
    close = 1e-4 if optimizer == "sgd" else 1e-3
    assert ours.outcome.curve.loss == pytest.approx(expected, rel=close, abs=1e-6)
    if optimizer == "sgd" and ours.outcome.best_epoch == 2:
        for got, wanted in zip(ours.weights, weights, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    assert ours.outcome.val_losses is not None
    validation = data.validation
    hidden = validation.x.astype(np.float64)
    for layer in range(len(units) + 1):
        z = hidden @ ours.weights[2 * layer] + ours.weights[2 * layer + 1]
        hidden = np.maximum(z, 0)
    losses = judged(kind, z, validation.y)[0] * counted(kind, validation)
    np.testing.assert_allclose(ours.outcome.val_losses, losses, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 23])
@pytest.mark.parametrize("lanes", [16, 32, 48, 112])
@pytest.mark.parametrize("depth", [1, 5, 64])
def test_a_product_is_numpys_for_every_number_of_rows_and_lanes(
    rows: int, lanes: int, depth: int
) -> None:
    rng = np.random.default_rng(rows * lanes + depth)
    a, b, c = (rng.normal(size=shape).astype(np.float32) for shape in (
        (rows, depth), (depth, lanes), (rows, lanes)
    ))  # fmt: skip
    start = rng.normal(size=rows).astype(np.float32)
    added, begun = c.copy(), c.copy()
    _multiply(None, a, b, added)
    _multiply(start, a, b, begun)
    np.testing.assert_allclose(added, c + a @ b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(begun, start[:, None] + a @ b, rtol=1e-4, atol=1e-5)
    transposed = np.full_like(c, 7)
    _multiply_turned(start, np.ascontiguousarray(a.T), b, transposed)
    np.testing.assert_array_equal(transposed, begun)


@pytest.mark.parametrize("rows", [5, 13])
def test_a_row_of_a_product_is_the_same_bit_for_bit_whichever_rows_are_beside_it(rows: int) -> None:
    rng = np.random.default_rng(rows)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((rows, 40), (40, 96)))
    together = np.zeros((rows, 96), np.float32)
    _multiply(None, a, b, together)
    for row in range(rows):
        alone = np.zeros((1, 96), np.float32)
        _multiply(None, a[row : row + 1].copy(), b, alone)
        np.testing.assert_array_equal(alone[0], together[row])


def test_a_block_is_turned_and_rows_are_summed() -> None:
    rng = np.random.default_rng(1)
    block = rng.normal(size=(16, 64)).astype(np.float32)
    turned, vector = np.empty((64, 16), np.float32), rng.normal(size=64).astype(np.float32)
    _turn(block, turned)
    np.testing.assert_array_equal(turned, block.T)
    sums = np.empty(16, np.float32)
    few, one = np.empty(16, np.float32), np.empty(16, np.float32)
    whole = _dots(block, vector, sums, few, one)
    np.testing.assert_allclose(sums, block @ vector, rtol=1e-5, atol=1e-5)
    assert whole == pytest.approx(float(vector.sum()), rel=1e-5)
    np.testing.assert_array_equal(few, np.where(np.arange(16) < 4, sums, 0))
    np.testing.assert_array_equal(one, np.where(np.arange(16) < 1, sums, 0))


def test_exponentials_and_logarithms_are_right_to_the_last_digits_and_show_what_is_no_number() -> (
    None
):
    down = np.concatenate([-np.geomspace(1e-8, 86, 1599), [0.0]]).astype(np.float32)
    unit, above = np.geomspace(1e-30, 1, 1600), np.geomspace(1, 1e6, 1600)
    for kernel, given_, formula in (
        (_exp, down, np.exp), (_log1p, unit.astype(np.float32), np.log1p),
        (_log, above.astype(np.float32), np.log),
    ):  # fmt: skip
        found = np.empty_like(given_)
        kernel(given_, found)
        np.testing.assert_allclose(found, formula(given_.astype(np.float64)), rtol=3e-7)
        nothing = np.full(16, np.nan, np.float32)
        kernel(nothing, found[:16])
        assert np.isnan(found[:16]).all()
    far = np.array([-1e4, -np.inf] * 8, np.float32)
    _exp(far, far)
    assert (far < 1e-37).all()


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("units", [(3,), (3, 20)])
def test_what_diverges_shows_itself_and_leaves_its_neighbours_alone(
    name: str, units: tuple[int, ...]
) -> None:
    task = TASKS[name]
    train, validation = (rows_of(task, 90, 10, seed, False) for seed in (1, 2))
    data = SearchData(train, validation, task)
    good = Job(Candidate(units, batch_size=64), 3, 1, epochs=3, patience=3)
    wild = replace(good, candidate=replace(good.candidate, learning_rate=1e30, optimizer="sgd"))
    engine = PackedEngine(threads=1)
    alone = engine.train([good], data)[0].outcome
    together = [trained.outcome for trained in engine.train([wild, good, wild], data)]
    assert together[1].curve == alone.curve
    for outcome in (together[0], together[2]):
        assert (outcome.reason or "").startswith("diverged: loss became NaN or infinite at epoch")


def test_compiled_kernels_are_out_of_date_when_any_file_beside_them_changes(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("1")
    (tmp_path / "other.py").write_text("2")
    before = stamp(tmp_path)
    assert stamp(tmp_path) == before
    (tmp_path / "other.py").write_text("3")
    assert stamp(tmp_path) != before
    source = tmp_path / "kernel.py"
    source.write_text("def double(x):\n    return 2 * x\n")
    spec = spec_from_file_location("kernel", source)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    hits = []
    for sources in ("first", "first", "second"):
        entry = compiled(module.double)
        entry._cache = StampedCache(module.double, sources)
        assert entry(3) == 6
        hits.append(sum(entry.stats.cache_hits.values()))
    assert hits == [0, 1, 0]


@compiled
def _multiply(start, a, b, c):  # type: ignore[no-untyped-def]
    (rows, depth), lanes = a.shape, b.shape[1]
    here = address(start), 0, address(a), 0, address(b), 0, address(c), 0
    multiply(*here, 1, depth, 1, lanes, lanes, depth, rows, lanes)


@compiled
def _multiply_turned(start, a, b, c):  # type: ignore[no-untyped-def]
    """Of a that is stored (depth, rows)."""
    (depth, rows), lanes = a.shape, b.shape[1]
    here = address(start), 0, address(a), 0, address(b), 0, address(c), 0
    multiply(*here, 1, 1, rows, lanes, lanes, depth, rows, lanes)


@compiled
def _turn(block, turned):  # type: ignore[no-untyped-def]
    for column in range(0, 64, 16):
        turn(address(block), column, 64, address(turned), column * 16, 16)


@compiled
def _dots(block, vector, sums, few, one):  # type: ignore[no-untyped-def]
    held = load(address(vector), 0, 64)
    store(address(sums), 0, dots(address(block), 0, 64, held, 16))
    store(address(few), 0, dots(address(block), 0, 64, held, 4))
    store(address(one), 0, dots(address(block), 0, 64, held, 1))
    return total(held)


@compiled
def _exp(given, found):  # type: ignore[no-untyped-def]
    for at in range(0, given.size, 16):
        store(address(found), at, exp(load(address(given), at, 16)))


@compiled
def _log1p(given, found):  # type: ignore[no-untyped-def]
    for at in range(0, given.size, 16):
        store(address(found), at, log1p(load(address(given), at, 16), 16))


@compiled
def _log(given, found):  # type: ignore[no-untyped-def]
    for at in range(0, given.size, 16):
        store(address(found), at, log(load(address(given), at, 16), 16))
