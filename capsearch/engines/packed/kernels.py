# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# ruff: noqa: PLR0913, PLR0917  # Numba has no cheap objects: kernels take what they touch
"""The compiled inner loops for sparse rows: one epoch of one network, start to end.

Shapes: a batch has `n` rows, the data `f` features. The first kernel is stored as (blocks, f,
lanes): a layer of 64 units is four independent ones of 16, so that a block (640 KB for 10,000
features) stays in the processor's own cache while the rows of a batch pass through it. All other
parameters lie in one flat vector, `rest`: bias, kernel, bias ..., each padded with zeros to whole
vectors of 16. Padding stays zero: its gradient, its penalty and its update are zero.

Every function releases the GIL, touches one network and adds in a fixed order: a network's numbers
cannot depend on what other threads do. Compiling takes 8 s once; from the cache it takes 0.1 s.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from capsearch.engines.packed.compiling import cached, compiled, inlined
from capsearch.engines.packed.masks import hashed, mask_key
from capsearch.engines.packed.simd import (
    address,
    fma,
    load,
    load_one,
    splat,
    store,
)
from capsearch.engines.packed.steps import penalty, rate_of, take_step
from capsearch.engines.packed.subnormals import flush, restore

WHOLE = 16  # float32 values in a vector; what every flat segment is padded to
HEADS = "logit", "softmax", "sigmoids", "squared", "huber"  # by the names of `tasks.Head`
LOGIT, SOFTMAX, SIGMOIDS, SQUARED, HUBER = range(5)
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)


class Inputs(NamedTuple):
    """Rows as these kernels read them."""

    indptr: Any  # int64 (rows + 1,)
    indices: Any  # int32 (ones,)
    values: Any  # float32 (ones,), or None when every one of them is 1
    labels: Any  # float32 (rows, 1), or (rows, labels) of `SIGMOIDS`
    weights: Any  # float32 (rows,), 1 in the mean; None where all rows count alike


class Plan(NamedTuple):
    """The batches of an epoch, and each batch column by column."""

    order: Any  # int64 (rows,)
    starts: Any  # int64 (batches, f + 1): where each column of a batch begins in `members`
    members: Any  # unsigned (ones,): place in its batch of the row that holds each one
    values: Any  # float32 (ones,) or None


class Net(NamedTuple):
    """Parameters and their optimizer's memory; a slot an optimizer does not use is empty."""

    kernel: Any  # float32 (blocks, f, lanes)
    kernel_1: Any
    kernel_2: Any
    rest: Any  # float32 (flat,)
    rest_1: Any
    rest_2: Any
    widths: Any  # int64 (layers,): outputs of each layer, the first one padded
    places: Any  # int64 (2 * layers,): begin in `rest` of bias 0, kernel 1, bias 1 ...; the end


class Rule(NamedTuple):
    """How a network learns."""

    optimizer: int
    rate: float
    l1: float
    l2: float
    dropout: float
    seed: int


class Head(NamedTuple):
    """What the last layer's values mean, in its first `outputs` columns: the rest is padding."""

    kind: int  # LOGIT ...
    outputs: int
    delta: float  # of `HUBER`


# --- The first product ------------------------------------------------------------------------


@inlined
def _plus(total, array, at, values, one, lanes):
    """total + value of this one * array[at : at + lanes]; Numba drops the branch not taken."""
    if values is None:
        return total + load(array, at, lanes)
    return fma(splat(load_one(values, one), lanes), load(array, at, lanes), total)


def _forward_of(lanes: int) -> Any:
    """x[rows] @ kernel + bias for a first kernel (blocks, f, lanes). Four sums hide latency."""

    @compiled
    def forward(indptr, indices, values, rows, kernel, bias, out):
        features, width = kernel.shape[1], out.shape[1]
        w, v, first, z = address(kernel), address(values), address(bias), address(out)
        for block in range(kernel.shape[0]):
            base = block * features
            for i in range(rows.size):
                a = load(first, block * lanes, lanes)
                b = splat(ZERO, lanes)
                c, d = b, b
                one, end = indptr[rows[i]], indptr[rows[i] + 1]
                while one + 4 <= end:
                    a = _plus(a, w, (base + indices[one]) * lanes, v, one, lanes)
                    b = _plus(b, w, (base + indices[one + 1]) * lanes, v, one + 1, lanes)
                    c = _plus(c, w, (base + indices[one + 2]) * lanes, v, one + 2, lanes)
                    d = _plus(d, w, (base + indices[one + 3]) * lanes, v, one + 3, lanes)
                    one += 4
                while one < end:
                    a = _plus(a, w, (base + indices[one]) * lanes, v, one, lanes)
                    one += 1
                store(z, i * width + block * lanes, (a + b) + (c + d))

    return forward


def _backward_of(lanes: int, together: int) -> Any:
    """The first kernel's gradient, penalty and update, column by column: no gradient is stored.

    So many blocks `together` share the walk through a column's ones. Most columns have few, and how
    many cannot be foreseen: the processor guesses wrong at the end of nearly every walk, and the
    wider the walk, the less that costs (four of 16 lanes: 5.7 ms an epoch at 64 units, not 10.0).
    """
    whole = lanes * together

    @compiled
    def backward(
        starts, members, values, delta, part, optimizer, rate, l1, l2, kernel, slot_1, slot_2, begin
    ):
        """All whole groups of blocks from block `begin` on; returns the first that is left.

        `part` (n, whole) takes the deltas of a group side by side: 32 KB for 512 rows, 16 lanes.
        """
        features, n, width = kernel.shape[1], delta.shape[0], delta.shape[1]
        p, d, v = address(part), address(delta), address(values)
        w, s, t = address(kernel), address(slot_1), address(slot_2)
        apart, block = features * lanes, begin
        while block + together <= kernel.shape[0]:
            for i in range(n):
                store(p, i * whole, load(d, i * width + block * lanes, whole))
            for column in range(features):
                at = (block * features + column) * lanes
                a = penalty(w, at, apart, together, l1, l2, whole)
                b = splat(ZERO, whole)
                one, end = starts[column], starts[column + 1]
                while one + 2 <= end:
                    a = _plus(a, p, np.int64(members[one]) * whole, v, one, whole)
                    b = _plus(b, p, np.int64(members[one + 1]) * whole, v, one + 1, whole)
                    one += 2
                if one < end:
                    a = _plus(a, p, np.int64(members[one]) * whole, v, one, whole)
                take_step(optimizer, rate, a + b, w, s, t, at, apart, together, whole)
            block += together
        return block

    return backward


_forward_4, _forward_8, _forward_16 = _forward_of(4), _forward_of(8), _forward_of(16)
_backward_4, _backward_8, _backward_16 = _backward_of(4, 1), _backward_of(8, 1), _backward_of(16, 1)
_backward_2_of_16, _backward_4_of_16 = _backward_of(16, 2), _backward_of(16, 4)


@compiled
def _first_forward(inputs, rows, net, out):
    """out = x[rows] @ kernel + bias, shape (n, padded width)."""
    lanes = net.kernel.shape[2]
    arrays = inputs.indptr, inputs.indices, inputs.values, rows, net.kernel, net.rest, out
    if lanes == 4:
        _forward_4(*arrays)
    elif lanes == 8:
        _forward_8(*arrays)
    else:
        _forward_16(*arrays)


@compiled
def _first_backward(plan, index, net, rule, rate, delta):
    """The gradient of the first kernel, its penalty and its update."""
    lanes, n = net.kernel.shape[2], delta.shape[0]
    part = np.empty((n, 4 * lanes), np.float32)
    ones = plan.starts[index], plan.members, plan.values, delta, part
    penalties = np.float32(rule.l1), np.float32(rule.l2)
    how = rule.optimizer, rate, *penalties, net.kernel, net.kernel_1, net.kernel_2
    if lanes == 4:
        _backward_4(*ones, *how, 0)
    elif lanes == 8:
        _backward_8(*ones, *how, 0)
    else:
        done = _backward_2_of_16(*ones, *how, _backward_4_of_16(*ones, *how, 0))
        _backward_16(*ones, *how, done)


# --- The layers behind it -----------------------------------------------------------------------


@compiled
def _activate(out, dropout, seed, layer, step):
    """ReLU in place, then inverted dropout if any."""
    flat = out.reshape(out.size)
    if dropout == 0.0:
        for i in range(flat.size):
            flat[i] = max(flat[i], ZERO)
        return
    low, high = mask_key(seed, layer, step)
    least, scale = np.uint32(dropout * 4294967296.0), np.float32(1.0 / (1.0 - dropout))
    for i in range(flat.size):
        kept = hashed(i, low, high) >= least
        flat[i] = max(flat[i], ZERO) * (scale if kept else ZERO)


@compiled
def _through_activation(delta, active, scale):
    """Back through dropout and ReLU, in place: a unit passes on what it let through."""
    flat, on = delta.reshape(delta.size), active.reshape(active.size)
    for i in range(flat.size):
        flat[i] = flat[i] * scale if on[i] > ZERO else ZERO


@compiled
def _weights(vector, net, layer):
    """Kernel (inputs, outputs) and bias of a layer behind the first, as views of a flat vector."""
    inputs, outputs = net.widths[layer - 1], net.widths[layer]
    at, bias = net.places[2 * layer - 1], net.places[2 * layer]
    return vector[at : at + inputs * outputs].reshape(inputs, outputs), vector[
        bias : bias + outputs
    ]


@compiled
def _layers(net, rows):
    """One array (rows, width) a layer, for its outputs or their gradients."""
    return [np.empty((rows, width), np.float32) for width in net.widths]


@compiled
def _forward(inputs, rows, net, dropout, seed, step, outputs):
    """Fill `outputs` layer by layer; the last one's first columns are the head's."""
    n = rows.size
    _first_forward(inputs, rows, net, outputs[0][:n])
    for layer in range(1, net.widths.size):
        below, out = outputs[layer - 1][:n], outputs[layer][:n]
        _activate(below, dropout, seed, layer, step)
        kernel, bias = _weights(net.rest, net, layer)
        np.dot(below, kernel, out)
        for i in range(n):
            for j in range(bias.size):
                out[i, j] += bias[j]


@compiled
def _loss(logit, label):
    """Binary cross-entropy of a logit and its gradient: max(z, 0) - y z + log(1 + exp(-|z|))."""
    small = np.float32(math.exp(-abs(logit)))
    loss = max(logit, ZERO) - logit * label + np.float32(math.log1p(small))
    return loss, (ONE if logit >= ZERO else small) / (ONE + small) - label


# --- The losses: one head each, all of the same form --------------------------------------------
#
# Each fills `losses`, float32 (n,), and returns the sum over rows of the figure that stands beside
# the loss: hits, the share of right labels, or the squared error. `delta`, if there is one, gets
# the gradient of the mean loss; Numba drops what is not asked for.


@compiled
def _logit(raw, labels, rows, delta, losses):
    hits = 0.0
    for i in range(rows.size):
        z, y = raw[i, 0], labels[rows[i], 0]
        loss, slope = _loss(z, y)
        losses[i] = loss
        hits += (z > ZERO) == (y > ZERO)
        if delta is not None:
            delta[i, 0] = slope / np.float32(rows.size)
    return hits


@compiled
def _softmax(raw, labels, rows, delta, losses, classes):
    """log sum exp(z) - z[y], with the largest value taken out of the sum."""
    hits = 0.0
    for i in range(rows.size):
        top, said, true = raw[i, 0], 0, int(labels[rows[i], 0])
        for k in range(1, classes):
            if raw[i, k] > top:
                top, said = raw[i, k], k
        total = ZERO
        for k in range(classes):
            total += np.float32(math.exp(raw[i, k] - top))
        losses[i] = np.float32(math.log(total)) - (raw[i, true] - top)
        hits += said == true
        if delta is not None:
            share = ONE / np.float32(rows.size)
            for k in range(classes):
                delta[i, k] = np.float32(math.exp(raw[i, k] - top)) / total * share
            delta[i, true] -= share
    return hits


@compiled
def _sigmoids(raw, labels, rows, delta, losses, count):
    """The mean of the labels' own losses."""
    hits, share = 0.0, ONE / np.float32(count)
    for i in range(rows.size):
        total, right = ZERO, 0
        for k in range(count):
            z, y = raw[i, k], labels[rows[i], k]
            loss, slope = _loss(z, y)
            total += loss
            right += (z > ZERO) == (y > ZERO)
            if delta is not None:
                delta[i, k] = slope * share / np.float32(rows.size)
        losses[i] = total * share
        hits += right / count
    return hits


@compiled
def _errors(raw, labels, rows, delta, losses, limit):
    """Squared error; with a `limit` Huber's: e^2 / 2 up to it, and linear beyond."""
    squares, most = 0.0, np.float32(limit)
    for i in range(rows.size):
        error = raw[i, 0] - labels[rows[i], 0]
        squares += error * error
        slope = error + error
        losses[i] = error * error
        if most > ZERO:
            slope = min(max(error, -most), most)
            losses[i] = slope * (error - slope / TWO)
        if delta is not None:
            delta[i, 0] = slope / np.float32(rows.size)
    return squares


@compiled
def _weigh(weights, rows, delta, losses):
    if weights is not None:
        for i in range(rows.size):
            losses[i] *= weights[rows[i]]
            if delta is not None:
                delta[i] *= weights[rows[i]]


@compiled
def _judge(head, raw, inputs, rows, delta, losses):
    """The head of these rows, each counted by its weight in `losses` and `delta`."""
    if delta is not None:
        delta[:] = ZERO
    if head.kind == LOGIT:
        figure = _logit(raw, inputs.labels, rows, delta, losses)
    elif head.kind == SOFTMAX:
        figure = _softmax(raw, inputs.labels, rows, delta, losses, head.outputs)
    elif head.kind == SIGMOIDS:
        figure = _sigmoids(raw, inputs.labels, rows, delta, losses, head.outputs)
    else:
        limit = head.delta if head.kind == HUBER else 0.0
        figure = _errors(raw, inputs.labels, rows, delta, losses, limit)
    _weigh(inputs.weights, rows, delta, losses)
    return figure


@compiled
def _backward(net, outputs, deltas, n, scale, gradient):
    """From the last layer's delta to the first one's; `gradient` gets all of `rest`'s."""
    for layer in range(net.widths.size - 1, 0, -1):
        below, delta, next_delta = outputs[layer - 1][:n], deltas[layer][:n], deltas[layer - 1][:n]
        kernel, _ = _weights(net.rest, net, layer)
        kernel_gradient, bias_gradient = _weights(gradient, net, layer)
        np.dot(below.T, delta, kernel_gradient)
        _column_sums(delta, bias_gradient)
        np.dot(delta, kernel.T, next_delta)
        _through_activation(next_delta, below, scale)
    _column_sums(deltas[0][:n], gradient[: net.widths[0]])


@compiled
def _column_sums(array, out):
    out[:] = ZERO
    for i in range(array.shape[0]):
        for j in range(out.size):
            out[j] += array[i, j]


@compiled
def _step_flat(optimizer, rate, gradient, weights, slot_1, slot_2, begin, end, l1, l2):
    """Update weights[begin:end] from gradient[begin:end]; both ends are whole vectors."""
    g, w, s, t = address(gradient), address(weights), address(slot_1), address(slot_2)
    for at in range(begin, end, WHOLE):
        total = load(g, at, WHOLE) + penalty(w, at, 0, 1, l1, l2, WHOLE)
        take_step(optimizer, rate, total, w, s, t, at, 0, 1, WHOLE)


@compiled
def _step_rest(net, rule, rate, gradient):
    """Update biases (segments 0, 2, ...) and, with their penalties, kernels (1, 3, ...)."""
    for segment in range(net.places.size - 1):
        l1 = np.float32(rule.l1) if segment % 2 else ZERO
        l2 = np.float32(rule.l2) if segment % 2 else ZERO
        begin, end = net.places[segment], net.places[segment + 1]
        _step_flat(
            rule.optimizer, rate, gradient, net.rest, net.rest_1, net.rest_2, begin, end, l1, l2
        )


# --- What the engine calls ----------------------------------------------------------------------


@cached
def train_epoch(inputs, plan, net, rule, head, size, steps):
    """One epoch in batches of `size` rows, after `steps` earlier ones. Returns (loss, figure).

    Both are means over the rows, each measured before its batch's update and with dropout on.
    """
    before = flush()
    rows = plan.order.size
    outputs, deltas = _layers(net, size), _layers(net, size)
    gradient = np.zeros_like(net.rest)
    losses = np.empty(size, np.float32)
    scale = np.float32(1.0 / (1.0 - rule.dropout))
    total, figures = 0.0, 0.0
    for index in range((rows + size - 1) // size):
        picked = plan.order[index * size : (index + 1) * size]
        n, step = picked.size, steps + index + 1
        _forward(inputs, picked, net, rule.dropout, rule.seed, step, outputs)
        figures += _judge(head, outputs[-1], inputs, picked, deltas[-1], losses)
        total += _sum(losses[:n])
        _backward(net, outputs, deltas, n, scale, gradient)
        rate = rate_of(rule.optimizer, rule.rate, step)
        _first_backward(plan, index, net, rule, rate, deltas[0][:n])
        _step_rest(net, rule, rate, gradient)
    restore(before)
    return total / rows, figures / rows


@compiled
def _sum(values):
    """In double precision."""
    total = 0.0
    for value in values:
        total += value
    return total


@cached
def score(inputs, net, head, size, losses):
    """Fill `losses`, float32 (rows,), with dropout off. Returns (mean loss, mean figure)."""
    before = flush()
    rows = np.arange(inputs.labels.shape[0])
    outputs = _layers(net, size)
    figures = 0.0
    for begin in range(0, rows.size, size):
        picked = rows[begin : begin + size]
        _forward(inputs, picked, net, 0.0, 0, 0, outputs)
        own = losses[begin : begin + picked.size]
        figures += _judge(head, outputs[-1], inputs, picked, None, own)
    restore(before)
    return _sum(losses) / rows.size, figures / rows.size


@cached
def by_columns(indptr, indices, values, order, size, starts, members, sorted_values):
    """Fill the last three: a counting sort of each batch's ones by column, rows in order."""
    features, begun = starts.shape[1] - 1, 0
    for index in range(starts.shape[0]):
        picked, start = order[index * size : (index + 1) * size], starts[index]
        start[:] = 0
        for row in picked:
            for one in range(indptr[row], indptr[row + 1]):
                start[indices[one] + 1] += 1
        start[0] = begun
        for column in range(features):
            start[column + 1] += start[column]
        begun = start[features]
        following = start[:features].copy()
        for place in range(picked.size):
            for one in range(indptr[picked[place]], indptr[picked[place] + 1]):
                at = following[indices[one]]
                following[indices[one]] = at + 1
                members[at] = place
                if values is not None:
                    sorted_values[at] = values[one]
