# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# ruff: noqa: PLR0913, PLR0917  # Numba has no cheap objects: kernels take what they touch
"""One step of an optimizer, with its penalties, on vectors of parameters in place."""

import math

import numpy as np

from capsearch.engines.packed.compiling import compiled, inlined
from capsearch.engines.packed.simd import fma, load_blocks, sign, splat, sqrt, store_blocks

ADAM, RMSPROP, SGD = 0, 1, 2
DECAY_1, DECAY_2 = np.float32(0.9), np.float32(0.999)  # Adam's, as Keras sets them
KEEP_1, KEEP_2 = np.float32(1 - 0.9), np.float32(1 - 0.999)
RHO, MOMENTUM = np.float32(0.9), np.float32(0.9)  # of RMSprop, of SGD
EPSILON = np.float32(1e-7)
ONE, TWO = np.float32(1), np.float32(2)


@inlined
def take_step(optimizer, rate, gradient, weights, slot_1, slot_2, at, apart, blocks, lanes):
    """Keras' `update_step` of Adam, RMSprop and SGD with momentum."""
    weight = load_blocks(weights, at, apart, blocks, lanes)
    first = load_blocks(slot_1, at, apart, blocks, lanes)
    if optimizer == ADAM:
        second = load_blocks(slot_2, at, apart, blocks, lanes)
        first = fma(gradient - first, splat(KEEP_1, lanes), first)
        second = fma(gradient * gradient - second, splat(KEEP_2, lanes), second)
        store_blocks(slot_2, at, apart, blocks, second)
        change = first * splat(rate, lanes) / (sqrt(second) + splat(EPSILON, lanes))
        store_blocks(weights, at, apart, blocks, weight - change)
    elif optimizer == RMSPROP:
        first = fma(splat(RHO, lanes), first, splat(ONE - RHO, lanes) * gradient * gradient)
        change = gradient * splat(rate, lanes) / sqrt(first + splat(EPSILON, lanes))
        store_blocks(weights, at, apart, blocks, weight - change)
    else:
        first = first * splat(MOMENTUM, lanes) - gradient * splat(rate, lanes)
        store_blocks(weights, at, apart, blocks, weight + first)
    store_blocks(slot_1, at, apart, blocks, first)


@compiled
def rate_of(optimizer, rate, step):
    """The rate of a step (1-based): Adam's corrects the bias of its moments, in float32."""
    if optimizer != ADAM:
        return np.float32(rate)
    power_1, power_2 = np.float32(DECAY_1**step), np.float32(DECAY_2**step)
    return np.float32(rate) * np.float32(math.sqrt(ONE - power_2)) / (ONE - power_1)


@inlined
def penalty(weights, at, apart, blocks, l1, l2, lanes):
    """The gradient of l1 |w| + l2 w^2; that of |w| is 0 at 0."""
    weight = load_blocks(weights, at, apart, blocks, lanes)
    return fma(splat(TWO * l2, lanes), weight, splat(l1, lanes) * sign(weight))
