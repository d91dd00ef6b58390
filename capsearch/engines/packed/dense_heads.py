# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# ruff: noqa: PLR0913, PLR0917  # Numba has no cheap objects: kernels take what they touch
"""The losses of a tile of dense rows, all rows of the tile at once: one head each, of one form.

A tile has `TILE` rows, and a column of it is a vector. `raw` are the last layer's outputs from
element `at` on, a column each, and `labels` likewise. `counts` holds two columns: 1 for each row
that is one and 0 for those that only fill the tile, and the rows' weights. Each head writes the
rows' losses times their weights and returns the sum of these and that of the figure that stands
beside the loss: hits, the share of right labels, or the squared error. `delta`, if there is one,
gets the gradient of the mean loss, of which a row is a `share`.
"""

import numpy as np

from capsearch.engines.packed.compiling import compiled, inlined
from capsearch.engines.packed.functions import exp, log, log1p, same, total, where
from capsearch.engines.packed.kernels import HUBER, LOGIT, SIGMOIDS, SOFTMAX
from capsearch.engines.packed.simd import load, splat, store

TILE = 64  # rows: a tile of 100 columns is 25 KB, and stays beside the processor
ZERO, ONE = np.float32(0), np.float32(1)


@inlined
def _weighed(values, counts):
    """Times the rows' weights, and 0 for what is no row."""
    held = load(counts, TILE, TILE)
    return where(load(counts, 0, TILE), values * held, splat(ZERO, TILE))


@inlined
def _counted(values, counts):
    return total(where(load(counts, 0, TILE), values, splat(ZERO, TILE)))


@inlined
def _told(values, counts, losses, at):
    """Writes the rows' losses and returns their sum."""
    weighed = _weighed(values, counts)
    store(losses, at, weighed)
    return total(weighed)


@inlined
def _cross_entropy(z, y):
    """max(z, 0) - y z + log(1 + exp(-|z|)) of logits and labels, its gradient, and who is right."""
    zero, one = splat(ZERO, TILE), splat(ONE, TILE)
    small = exp(zero - where(z, z, zero - z))
    loss = where(z, z, zero) - z * y + log1p(small, TILE)
    right = same(where(z, one, zero), where(y, one, zero))
    return loss, where(z, one, small) / (one + small) - y, right


@compiled
def _logit(raw, at, labels, counts, share, delta, put, losses, place):
    loss, slope, right = _cross_entropy(load(raw, at, TILE), load(labels, 0, TILE))
    if delta is not None:
        store(delta, put, _weighed(slope * splat(share, TILE), counts))
    return _told(loss, counts, losses, place), _counted(right, counts)


@compiled
def _sigmoids(raw, at, labels, counts, share, delta, put, losses, place, count):
    """The mean of the labels' own losses."""
    each = splat(ONE / np.float32(count), TILE)
    loss = splat(ZERO, TILE)
    right = loss
    for k in range(0, count * TILE, TILE):
        one, slope, hit = _cross_entropy(load(raw, at + k, TILE), load(labels, k, TILE))
        loss, right = loss + one, right + hit
        if delta is not None:
            store(delta, put + k, _weighed(slope * each * splat(share, TILE), counts))
    return _told(loss * each, counts, losses, place), _counted(right * each, counts)


@compiled
def _softmax(raw, at, labels, counts, share, delta, put, losses, place, classes):
    """log sum exp(z) - z[y], with the largest value taken out of the sum."""
    top, said = load(raw, at, TILE), splat(ZERO, TILE)
    for k in range(1, classes):
        z = load(raw, at + k * TILE, TILE)
        said, top = where(z - top, splat(np.float32(k), TILE), said), where(z - top, z, top)
    all_, true, y = splat(ZERO, TILE), splat(ZERO, TILE), load(labels, 0, TILE)
    for k in range(classes):
        z = load(raw, at + k * TILE, TILE) - top
        power = exp(z)
        all_ = all_ + power
        true = where(same(y, splat(np.float32(k), TILE)), z, true)
        if delta is not None:
            store(delta, put + k * TILE, power)
    if delta is not None:
        for k in range(classes):
            likely = load(delta, put + k * TILE, TILE) / all_
            slope = likely - same(y, splat(np.float32(k), TILE))
            store(delta, put + k * TILE, _weighed(slope * splat(share, TILE), counts))
    loss = log(all_, TILE) - true
    return _told(loss, counts, losses, place), _counted(same(said, y), counts)


@compiled
def _errors(raw, at, labels, counts, share, delta, put, losses, place, limit):
    """Squared error; with a `limit` Huber's: e^2 / 2 up to it, and linear beyond."""
    error, most = load(raw, at, TILE) - load(labels, 0, TILE), splat(np.float32(limit), TILE)
    loss, slope = error * error, error + error
    if limit > 0.0:
        low = splat(ZERO, TILE) - most
        slope = where(error - most, most, error)
        slope = where(low - error, low, slope)
        loss = slope * (error - slope * splat(np.float32(0.5), TILE))
    if delta is not None:
        store(delta, put, _weighed(slope * splat(share, TILE), counts))
    return _told(loss, counts, losses, place), _counted(error * error, counts)


@compiled
def judge(head, raw, at, labels, counts, share, delta, put, losses, place):
    """The head of a tile: the sums of losses and figures."""
    how = raw, at, labels, counts, share, delta, put, losses, place
    if head.kind == LOGIT:
        return _logit(*how)
    if head.kind == SOFTMAX:
        return _softmax(*how, head.outputs)
    if head.kind == SIGMOIDS:
        return _sigmoids(*how, head.outputs)
    limit = head.delta if head.kind == HUBER else 0.0
    return _errors(*how, limit)
