# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# ruff: noqa: PLR0913, PLR0917  # Numba has no cheap objects: kernels take what they touch
"""The compiled inner loops for dense rows: one epoch of a stack of networks, start to end.

Networks that see the same batches are stacked: their first layers are one kernel, a row a unit, and
one product serves them all, however narrow each one is. Rows pass in tiles of 64. A tile is
gathered once, and everything that is done to it, from the first product to the gradients, is done
while it is in the cache; the layers behind the first follow network by network.

Within a tile what is wide is the rows: a layer's outputs are (units, 64), so a width needs no
padding. Only gradients of kernels sum over rows: they read the layer's inputs row by row, (64,
inputs), which the data are and outputs are turned into. Kernels are (units, inputs), a row padded
to whole vectors; what lies in the padding is never read.

No number depends on what else is in the stack: a value of a product is one chain of multiply-adds
in the order of its inputs or rows, and everything else is done network by network.
"""

from typing import Any, NamedTuple

import numpy as np

from capsearch.engines.packed.compiling import cached, compiled
from capsearch.engines.packed.dense_heads import ONE, TILE, ZERO, judge
from capsearch.engines.packed.functions import where
from capsearch.engines.packed.masks import hashed, mask_key
from capsearch.engines.packed.simd import (
    address,
    fma,
    load,
    load_int,
    load_one,
    prefetch,
    splat,
    store,
    store_one,
)
from capsearch.engines.packed.steps import penalty, rate_of, take_step
from capsearch.engines.packed.subnormals import flush, restore
from capsearch.engines.packed.tiles import dots, multiply, turn

WHOLE = 16  # float32 values in a vector; what every row of a kernel is padded to
FEW = 4  # outputs of a layer up to which a gradient is taken value by value, without turning


class DenseRows(NamedTuple):
    """Rows to train on, in any order."""

    x: Any  # float32 (rows, f)
    labels: Any  # float32 (rows, 1), or (rows, labels) of `SIGMOIDS`
    weights: Any  # float32 (rows,), 1 in the mean; None where all rows count alike


class Tiles(NamedTuple):
    """Rows to score, tile by tile as the kernels read them."""

    x: Any  # float32 (tiles, f padded, TILE)
    labels: Any  # float32 (tiles, 1 or labels, TILE)
    counts: Any  # float32 (tiles, 2, TILE), as in `dense_heads`


class Stack(NamedTuple):
    """Networks side by side. A flat vector has all first kernels, then what each has beside it:
    first bias, kernel, bias ..., each padded to whole vectors.
    """

    values: Any  # float32 (flat,)
    slot_1: Any
    slot_2: Any
    gradient: Any  # all zero between two batches
    features: int
    firsts: Any  # int64 (networks + 1,): each one's first unit in the common kernel; the end
    begins: Any  # int64 (networks + 1,): where what it has beside its first kernel lies; the end
    widths: Any  # int64 (networks, layers): outputs of each layer
    widest: int  # of all layers
    depths: Any  # int64 (networks,): layers
    optimizers: Any  # int64 (networks,)
    rates: Any  # float64
    penalties: Any  # float32 (networks, 2): L1, L2
    dropouts: Any  # float64
    seeds: Any  # int64


class Work(NamedTuple):
    """What a thread works on, a tile at a time."""

    x: Any  # float32 (TILE * f padded,): the rows as they are, zero behind the last feature
    columns: Any  # (f padded * TILE,): the same, turned
    outs: Any  # outputs of all first units, then of the layers behind of one network
    deltas: Any  # their gradients
    turned: Any  # (TILE * inputs,)
    biases: Any  # (first units,)
    zero: Any  # one 0
    labels: Any
    counts: Any
    losses: Any


@compiled
def padded(size):
    return (size + WHOLE - 1) // WHOLE * WHOLE


@compiled
def _work(stack, outputs):
    widest = padded(stack.widest)
    units = stack.firsts[-1] + stack.widths.shape[1] * widest
    wide = padded(stack.features)
    return Work(
        np.zeros(TILE * wide, np.float32),
        np.zeros(TILE * wide, np.float32),
        np.zeros(TILE * (units + WHOLE), np.float32),
        np.zeros(TILE * (units + WHOLE), np.float32),
        np.zeros(TILE * widest, np.float32),
        np.zeros(stack.firsts[-1], np.float32),
        np.zeros(1, np.float32),
        np.zeros(TILE * outputs, np.float32),
        np.zeros(TILE * 2, np.float32),
        np.zeros(TILE, np.float32),
    )


# --- A tile of rows -------------------------------------------------------------------------------


@compiled
def _weight(weights, row):
    return ONE if weights is None else weights[row]


@compiled
def _ask_for(rows, picked):
    """Let the memory fetch these rows meanwhile."""
    x, features = address(rows.x), rows.x.shape[1]
    for row in picked:
        for feature in range(0, features + WHOLE - 1, WHOLE):
            prefetch(x, row * features + min(feature, features - 1))


@compiled
def _copy_row(source, row, features, x, at):
    """A row that does not end with a whole vector ends with one that begins in the last."""
    whole = features // WHOLE * WHOLE
    for feature in range(0, whole, WHOLE):
        store(x, at + feature, load(source, row * features + feature, WHOLE))
    if whole > 0:
        last = features - WHOLE
        store(x, at + last, load(source, row * features + last, WHOLE))
    else:
        for feature in range(features):
            store_one(x, at + feature, load_one(source, row * features + feature))


@compiled
def _gather(rows, picked, x, columns, labels, counts):
    """Copy these rows, at most `TILE`, into a tile, with their labels and weights."""
    features, outputs, n = rows.x.shape[1], rows.labels.shape[1], picked.size
    wide, source, y = padded(features), address(rows.x), address(rows.labels)
    for i in range(n):
        row = picked[i]
        _copy_row(source, row, features, x, i * wide)
        for k in range(outputs):
            store_one(labels, k * TILE + i, load_one(y, row * outputs + k))
        store_one(counts, TILE + i, _weight(rows.weights, row))
    for i in range(TILE):
        store_one(counts, i, ONE if i < n else ZERO)
    for i in range(0, n, WHOLE):
        for j in range(0, wide, WHOLE):
            turn(x, i * wide + j, wide, columns, j * TILE + i, TILE)


@compiled
def _fill(tiles, rows, held):
    outputs, wide, x = rows.labels.shape[1], padded(rows.x.shape[1]), address(held)
    columns, labels, counts = address(tiles.x), address(tiles.labels), address(tiles.counts)
    for tile in range(tiles.x.shape[0]):
        begin, at = tile * TILE, tile * TILE * 4  # 4 bytes a value
        picked = np.arange(begin, min(begin + TILE, rows.x.shape[0]))
        here = columns + at * wide, labels + at * outputs, counts + at * 2
        _gather(rows, picked, x, *here)


@cached
def fill_tiles(tiles, rows):
    """With all rows, in their order."""
    _fill(tiles, rows, np.zeros(TILE * padded(rows.x.shape[1]), np.float32))


# --- Forward --------------------------------------------------------------------------------------


@compiled
def _relu(o, at, units):
    for i in range(at, at + units * TILE, TILE):
        z = load(o, i, TILE)
        store(o, i, where(z, z, splat(ZERO, TILE)))


@compiled
def _relu_one(v, bias, kernel, o, at, inputs, out):
    """Activate a layer and compute, in the same pass, the only unit of the next, often the last."""
    z = splat(load_one(v, bias), TILE)
    for k in range(inputs):
        value = load(o, at + k * TILE, TILE)
        value = where(value, value, splat(ZERO, TILE))
        store(o, at + k * TILE, value)
        z = fma(splat(load_one(v, kernel + k), TILE), value, z)
    store(o, out, z)


@compiled
def _drop(o, at, units, dropped, layer):
    """Inverted dropout; the tile's first row is row `origin` of its batch."""
    dropout, seed, step, origin = dropped
    low, high = mask_key(seed, layer, step)
    least, scale = np.uint32(dropout * 4294967296.0), np.float32(1.0 / (1.0 - dropout))
    for unit in range(units):
        for i in range(TILE):
            kept = hashed((origin + i) * units + unit, low, high) >= least
            place = at + unit * TILE + i
            store_one(o, place, load_one(o, place) * (scale if kept else ZERO))


@compiled
def _forward_behind(v, begin, o, first, scratch, apart, widths, depth, lanes, dropped):
    """The layers behind the first of one network; returns where the last one's outputs are."""
    below, inputs = first, load_int(widths, 0)
    kernel = begin + padded(inputs)
    for layer in range(1, depth):
        units, wide, out = load_int(widths, layer), padded(inputs), scratch + (layer - 1) * apart
        bias = kernel + units * wide
        if units == 1 and dropped[0] == 0.0:
            _relu_one(v, bias, kernel, o, below, inputs, out)
        else:
            _relu(o, below, inputs)
            if dropped[0] > 0.0:
                _drop(o, below, inputs, dropped, layer)
            here = v, bias, v, kernel, o, below, o, out
            multiply(*here, 1, wide, 1, TILE, TILE, inputs, units, lanes)
        kernel, below, inputs = bias + padded(units), out, units
    return below


@compiled
def _first_biases(stack, biases):
    """Side by side, as the common kernel has its rows."""
    for net in range(stack.depths.size):
        first, begin = stack.firsts[net], stack.begins[net]
        for unit in range(stack.firsts[net + 1] - first):
            biases[first + unit] = stack.values[begin + unit]


# --- Backward -------------------------------------------------------------------------------------


@compiled
def _add(g, at, vector):
    store(g, at, load(g, at, WHOLE) + vector)


@compiled
def _add_dots(rows, at, count, vector, g, put):
    """The sums of so many rows, a tile long each, times `vector`; few rows cost little."""
    for row in range(0, count, WHOLE):
        first = at + row * TILE
        if count - row == 1:
            _add(g, put + row, dots(rows, first, TILE, vector, 1))
        elif count - row <= 4:
            _add(g, put + row, dots(rows, first, TILE, vector, 4))
        else:
            _add(g, put + row, dots(rows, first, TILE, vector, WHOLE))


@compiled
def _few_backward(v, kernel, o, below, d, at, g, units, inputs, put, scale):
    """Back through a layer of few outputs: its kernel's gradient and the delta of its inputs."""
    wide = padded(inputs)
    for unit in range(units):
        delta = load(d, at + unit * TILE, TILE)
        _add_dots(o, below, inputs, delta, g, kernel + unit * wide)
    for k in range(inputs):
        passed = splat(ZERO, TILE)
        for unit in range(units):
            weight = load_one(v, kernel + unit * wide + k) * scale
            passed = fma(splat(weight, TILE), load(d, at + unit * TILE, TILE), passed)
        let = load(o, below + k * TILE, TILE)
        store(d, put + k * TILE, where(let, passed, splat(ZERO, TILE)))


@compiled
def _many_backward(v, kernel, o, below, d, at, g, units, inputs, put, scale, zero, t, rows, lanes):
    """The same of a layer of many: two products, the first over rows."""
    wide = padded(inputs)
    for i in range(0, wide, WHOLE):
        for j in range(0, TILE, WHOLE):
            turn(o, below + i * TILE + j, TILE, t, j * wide + i, wide)
    multiply(None, 0, d, at, t, 0, g, kernel, 0, TILE, 1, wide, wide, rows, units, wide)
    here = zero, 0, v, kernel, d, at, d, put
    multiply(*here, 0, 1, wide, TILE, TILE, units, inputs, lanes)
    for i in range(lanes, TILE, WHOLE):  # no rows: sums over the tile must not meet older ones
        for k in range(inputs):
            store(d, put + k * TILE + i, splat(ZERO, WHOLE))
    for i in range(0, inputs * TILE, TILE):
        passed = load(d, put + i, TILE) * splat(scale, TILE)
        store(d, put + i, where(load(o, below + i, TILE), passed, splat(ZERO, TILE)))


@compiled
def _backward_behind(
    v, end, o, d, g, zero, t, first, scratch, apart, widths, depth, rows, lanes, scale
):
    """From the last layer's delta to the first one's, and the gradients of all but its kernel."""
    units = load_int(widths, depth - 1)
    for layer in range(depth - 1, 0, -1):
        inputs, at = load_int(widths, layer - 1), scratch + (layer - 1) * apart
        below = at - apart if layer > 1 else first
        bias = end - padded(units)
        kernel = bias - units * padded(inputs)
        _add_dots(d, at, units, splat(ONE, TILE), g, bias)
        here = v, kernel, o, below, d, at, g, units, inputs, below, scale
        if units <= FEW:
            _few_backward(*here)
        else:
            _many_backward(*here, zero, t, rows, lanes)
        end, units = kernel, inputs
    _add_dots(d, first, units, splat(ONE, TILE), g, end - padded(units))


# --- The step of a batch --------------------------------------------------------------------------


@compiled
def _step_range(optimizer, rate, g, w, s, t, begin, end, l1, l2):
    """Update from the gradient of whole vectors, and clear it."""
    for at in range(begin, end, WHOLE):
        total_ = load(g, at, WHOLE) + penalty(w, at, 0, 1, l1, l2, WHOLE)
        take_step(optimizer, rate, total_, w, s, t, at, 0, 1, WHOLE)
        store(g, at, splat(ZERO, WHOLE))


@compiled
def _update(stack, net, wide, step):
    """One network's step: kernels with their penalties, biases without."""
    g, w = address(stack.gradient), address(stack.values)
    s, t = address(stack.slot_1), address(stack.slot_2)
    optimizer, rate = stack.optimizers[net], stack.rates[net]
    rate = rate_of(optimizer, rate, step)
    l1, l2 = stack.penalties[net, 0], stack.penalties[net, 1]
    begin, end = stack.firsts[net] * wide, stack.firsts[net + 1] * wide
    _step_range(optimizer, rate, g, w, s, t, begin, end, l1, l2)
    begin = stack.begins[net]
    for layer in range(stack.depths[net]):
        units = stack.widths[net, layer]
        if layer > 0:
            end = begin + units * padded(stack.widths[net, layer - 1])
            _step_range(optimizer, rate, g, w, s, t, begin, end, l1, l2)
            begin = end
        end = begin + padded(units)
        _step_range(optimizer, rate, g, w, s, t, begin, end, ZERO, ZERO)
        begin = end


# --- What the engine calls ------------------------------------------------------------------------


@compiled
def _4(a, b, c, d):
    return address(a), address(b), address(c), address(d)


@compiled
def _learn_tile(rows, picked, later, origin, share, step, stack, head, work, figures):
    """Gather a tile and add its gradients, losses and figures.

    Meanwhile the memory is asked for the `later` rows, a few at a time: it has a short queue.
    """
    features, n = rows.x.shape[1], picked.size
    wide, lanes = padded(features), (n + 31) // 32 * 32
    v, g, o, d = _4(stack.values, stack.gradient, work.outs, work.deltas)
    x, columns, biases, t = _4(work.x, work.columns, work.biases, work.turned)
    y, c, told, zero = _4(work.labels, work.counts, work.losses, work.zero)
    _gather(rows, picked, x, columns, y, c)
    units, apart = stack.firsts[-1], padded(stack.widest) * TILE
    scratch, layers, widths = units * TILE, stack.widths.shape[1], address(stack.widths)
    here = biases, 0, v, 0, columns, 0, o, 0
    multiply(*here, 1, wide, 1, TILE, TILE, features, units, lanes)
    few = (later.size + stack.depths.size - 1) // stack.depths.size
    for net in range(stack.depths.size):
        _ask_for(rows, later[net * few : (net + 1) * few])
        first, depth, own = stack.firsts[net] * TILE, stack.depths[net], widths + net * layers * 8
        dropped = stack.dropouts[net], stack.seeds[net], step, origin
        last = _forward_behind(
            v, stack.begins[net], o, first, scratch, apart, own, depth, lanes, dropped
        )
        loss, figure = judge(head, o, last, y, c, share, d, last, told, 0)
        figures[net, 0] += loss
        figures[net, 1] += figure
        scale = np.float32(1.0 / (1.0 - stack.dropouts[net]))
        _backward_behind(
            v, stack.begins[net + 1], o, d, g, zero, t, first, scratch, apart, own, depth, n, lanes,
            scale,
        )  # fmt: skip
    multiply(None, 0, d, 0, x, 0, g, 0, 0, TILE, 1, wide, wide, n, units, wide)


@cached
def train_epoch(rows, order, stack, head, size, steps, figures):
    """One epoch in batches of `size` rows, after `steps` earlier ones.

    Each network's mean loss and figure go to `figures`, float64 (networks, 2), measured before each
    batch's update and with dropout on.
    """
    before = flush()
    work = _work(stack, rows.labels.shape[1])
    figures[:] = 0.0
    for index in range((order.size + size - 1) // size):
        begin, step = index * size, steps + index + 1
        end = min(begin + size, order.size)
        share = ONE / np.float32(end - begin)
        _first_biases(stack, work.biases)
        for at in range(begin, end, TILE):
            part = order[at : min(at + TILE, end)]
            later = order[at + part.size : at + part.size + TILE]
            _learn_tile(rows, part, later, at - begin, share, step, stack, head, work, figures)
        for net in range(stack.depths.size):
            _update(stack, net, padded(stack.features), step)
    figures /= order.size
    restore(before)


@compiled
def _score_tile(tiles, tile, stack, head, work, losses, figures):
    features, wide, outputs = stack.features, tiles.x.shape[1], tiles.labels.shape[1]
    v, o, x, biases = (
        address(stack.values),
        address(work.outs),
        address(tiles.x),
        address(work.biases),
    )
    y = address(tiles.labels) + tile * outputs * TILE * 4
    c, told = address(tiles.counts) + tile * 2 * TILE * 4, address(losses)
    units, apart = stack.firsts[-1], padded(stack.widest) * TILE
    layers, widths = stack.widths.shape[1], address(stack.widths)
    here = biases, 0, v, 0, x, tile * wide * TILE, o, 0
    multiply(*here, 1, wide, 1, TILE, TILE, features, units, TILE)
    for net in range(stack.depths.size):
        first, own = stack.firsts[net] * TILE, widths + net * layers * 8
        begin, depth, still = stack.begins[net], stack.depths[net], (0.0, 0, 0, 0)
        last = _forward_behind(v, begin, o, first, units * TILE, apart, own, depth, TILE, still)
        place = net * losses.shape[1] + tile * TILE
        loss, figure = judge(head, o, last, y, c, ONE, None, 0, told, place)
        figures[net, 0] += loss
        figures[net, 1] += figure


@cached
def score(tiles, rows, stack, head, losses, figures):
    """Each network's losses of all `rows`, float32 (networks, tiles * TILE), with dropout off, and
    their means and those of the figures, float64 (networks, 2).
    """
    before = flush()
    work = _work(stack, tiles.labels.shape[1])
    _first_biases(stack, work.biases)
    figures[:] = 0.0
    for tile in range(tiles.x.shape[0]):
        _score_tile(tiles, tile, stack, head, work, losses, figures)
    figures /= rows
    restore(before)
