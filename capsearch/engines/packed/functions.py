# mypy: disable-error-code="no-untyped-def, no-untyped-call, import-untyped, untyped-decorator"
"""Comparisons, sums, exponentials and logarithms of vectors: what losses are made of.

None of them hides a NaN: a diverged network must show itself.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from capsearch.engines.packed.compiling import inlined
from capsearch.engines.packed.simd import call, fma, shuffled, splat

_BITS = ir.IntType(32)
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # Cody and Waite: the first has few digits
_MAGIC = 12582912.0  # 1.5 * 2^23: what is added to it is rounded to a whole number
_ODD = tuple(np.float32(1 / n) for n in (15, 13, 11, 9, 7, 5, 3))
ONE, TWO = np.float32(1), np.float32(2)
LN2 = np.float32(math.log(2))


@intrinsic
def where(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """b where a is above 0 or NaN, and c elsewhere."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        above = builder.fcmp_unordered(">", args[0], ir.Constant(args[0].type, None))
        return builder.select(above, args[1], args[2])

    return a(a, a, a), build


@intrinsic
def same(typing: Any, a: Any, b: Any) -> Any:
    """1 where both are equal, 0 elsewhere."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        one = ir.Constant(args[0].type, [1.0] * a.count)
        equal = builder.fcmp_ordered("==", *args)
        return builder.select(equal, one, ir.Constant(args[0].type, None))

    return a(a, a), build


@intrinsic
def total(typing: Any, a: Any) -> Any:
    """The sum of all lanes: of the halves, of the halves of that ..."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector, width = args[0], a.count
        while width > 1:
            width //= 2
            low, high = range(width), range(width, 2 * width)
            vector = builder.fadd(
                shuffled(builder, vector, vector, low), shuffled(builder, vector, vector, high)
            )
        return builder.extract_element(vector, ir.Constant(_BITS, 0))

    return types.float32(a), build


@intrinsic
def exp(typing: Any, a: Any) -> Any:
    """e to the power of a, which is at most 0: 2^n by its bits, times a series of what is left."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind, bits = args[0].type, ir.VectorType(_BITS, a.count)

        def every(value: float) -> Any:
            return ir.Constant(kind, [float(np.float32(value))] * a.count)

        def plus(product: float, x: Any, added: Any) -> Any:
            return call("fmuladd", builder, [x, every(product), added])

        x = builder.select(builder.fcmp_ordered("<", args[0], every(-87.0)), every(-87.0), args[0])
        rounded = plus(1 / math.log(2), x, every(_MAGIC))
        whole = builder.fsub(rounded, every(_MAGIC))
        rest = plus(-_LN2_LOW, whole, plus(-_LN2_HIGH, whole, x))
        series = every(1 / math.factorial(7))
        for n in range(6, -1, -1):
            series = call("fmuladd", builder, [series, rest, every(1 / math.factorial(n))])
        shift, one = (ir.Constant(bits, [n] * a.count) for n in (23, 127 << 23))
        power = builder.add(builder.shl(builder.bitcast(rounded, bits), shift), one)
        return builder.fmul(series, builder.bitcast(power, kind))

    return a(a), build


@intrinsic
def _exponent(typing: Any, a: Any) -> Any:
    """n of a = m 2^n with m from 1 up to 2."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = ir.VectorType(_BITS, a.count)
        shift, bias = (ir.Constant(bits, [n] * a.count) for n in (23, 127))
        found = builder.sub(builder.lshr(builder.bitcast(args[0], bits), shift), bias)
        return builder.sitofp(found, args[0].type)

    return a(a), build


@intrinsic
def _mantissa(typing: Any, a: Any) -> Any:
    """m of the same."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = ir.VectorType(_BITS, a.count)
        kept, one = (ir.Constant(bits, [n] * a.count) for n in ((1 << 23) - 1, 127 << 23))
        found = builder.and_(builder.bitcast(args[0], bits), kept)
        return builder.bitcast(builder.or_(found, one), args[0].type)

    return a(a), build


@inlined
def log1p(a, lanes):
    """log(1 + a) for a from 0 to 1: 2 atanh(t), t = a / (2 + a)."""
    t = a / (splat(TWO, lanes) + a)
    square, series = t * t, splat(_ODD[0], lanes)
    series = fma(series, square, splat(_ODD[1], lanes))
    series = fma(series, square, splat(_ODD[2], lanes))
    series = fma(series, square, splat(_ODD[3], lanes))
    series = fma(series, square, splat(_ODD[4], lanes))
    series = fma(series, square, splat(_ODD[5], lanes))
    series = fma(series, square, splat(_ODD[6], lanes))
    return (t + t) * fma(series, square, splat(ONE, lanes))


@inlined
def log(a, lanes):
    """Of what is at least 1; a - a makes a NaN one here, too."""
    rest = log1p(_mantissa(a) - splat(ONE, lanes), lanes)
    return fma(_exponent(a), splat(LN2, lanes), rest) + (a - a)
