# mypy: disable-error-code="no-untyped-def, no-untyped-call, import-untyped, untyped-decorator"
# ruff: noqa: PLR0913, PLR0917  # Numba has no cheap objects: kernels take what they touch
"""The one matrix product of dense rows: c += a b, a tile of c in the processor's registers.

A tile is a few rows of c, each a vector of lanes. Step by step along the inner dimension a vector
of b is read once and added to every row, times one value of a: 8 rows of 32 lanes are 16 registers
of AVX-512, and need 10 reads for 16 multiply-adds. A value of c is one chain of multiply-adds, in
order: which rows and lanes share its tile cannot change it.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from capsearch.engines.packed.compiling import compiled, inlined
from capsearch.engines.packed.simd import FLOAT, Lanes, call, load, pointer, shuffled, splatted


class Tile(types.Type):  # type: ignore[misc]  # numba has no types
    """Some vectors of `count` float32 values."""

    def __init__(self, rows: int, count: int) -> None:
        self.rows, self.count = rows, count
        super().__init__(name=f"Tile({rows}, {count})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Tile) -> None:
        vectors = ir.ArrayType(ir.VectorType(FLOAT, kind.count), kind.rows)
        super().__init__(manager, kind, vectors)


def _places(builder: Any, args: Any, kind: Any, count: int) -> Any:
    """Pointers from an address and an element on, so many elements apart."""
    address, at, apart = args
    for _ in range(count):
        yield pointer(builder, address, at, kind)
        at = builder.add(at, apart)


def _read(builder: Any, args: Any, kind: Any, count: int) -> list[Any]:
    return [builder.load(p, align=4) for p in _places(builder, args, kind, count)]


@intrinsic(prefer_literal=True)
def load_tile(typing: Any, address: Any, at: Any, apart: Any, rows: Any, count: Any) -> Any:
    """`rows` vectors of `count` elements, the first from element `at` on, so many `apart`."""
    tile = Tile(rows.literal_value, count.literal_value)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = ir.Constant(context.get_value_type(tile), ir.Undefined)
        found = _read(builder, args[:3], ir.VectorType(FLOAT, tile.count), tile.rows)
        for row, vector in enumerate(found):
            out = builder.insert_value(out, vector, row)
        return out

    return tile(types.intp, types.intp, types.intp, rows, count), build


@intrinsic(prefer_literal=True)
def splat_tile(typing: Any, address: Any, at: Any, apart: Any, rows: Any, count: Any) -> Any:
    """`rows` vectors, each one element in all of its lanes; the elements lie so far `apart`."""
    tile = Tile(rows.literal_value, count.literal_value)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for row, one in enumerate(_read(builder, args[:3], FLOAT, tile.rows)):
            out = builder.insert_value(out, splatted(builder, one, tile.count), row)
        return out

    return tile(types.intp, types.intp, types.intp, rows, count), build


@intrinsic
def store_tile(typing: Any, address: Any, at: Any, apart: Any, tile: Any) -> Any:
    """Write a tile to where `load_tile` would read it."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(FLOAT, tile.count)
        for row, place in enumerate(_places(builder, args[:3], kind, tile.rows)):
            builder.store(builder.extract_value(args[3], row), place, align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, tile), build


@intrinsic
def plus_outer(typing: Any, tile: Any, address: Any, at: Any, apart: Any, vector: Any) -> Any:
    """The tile and, in every row, `vector` times one element: the first is `at`, so far `apart`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = args[0]
        for row, one in enumerate(_read(builder, args[1:4], FLOAT, tile.rows)):
            added = [splatted(builder, one, tile.count), args[4], builder.extract_value(out, row)]
            out = builder.insert_value(out, call("fmuladd", builder, added), row)
        return out

    return tile(tile, types.intp, types.intp, types.intp, vector), build


@intrinsic
def turn(typing: Any, address: Any, at: Any, apart: Any, into: Any, put: Any, beside: Any) -> Any:
    """Transpose 16 x 16 elements: the rows read are so far `apart`, those written `beside`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(FLOAT, 16)
        rows = _read(builder, args[:3], kind, 16)
        for half in (8, 4, 2, 1):  # swap the blocks beside the diagonal, of half the last size
            for i in (i for i in range(16) if not i & half):
                a, b = rows[i], rows[i + half]
                lower = [16 + lane - half if lane & half else lane for lane in range(16)]
                upper = [16 + lane if lane & half else lane + half for lane in range(16)]
                rows[i] = shuffled(builder, a, b, lower)
                rows[i + half] = shuffled(builder, a, b, upper)
        for row, place in zip(rows, _places(builder, args[3:], kind, 16), strict=True):
            builder.store(row, place, align=4)
        return context.get_dummy_value()

    whole = types.intp
    return types.void(whole, whole, whole, whole, whole, whole), build


@intrinsic(prefer_literal=True)
def dots(typing: Any, address: Any, at: Any, apart: Any, vector: Any, count: Any) -> Any:
    """The sums over lanes of `count` rows, at most 16, times `vector`, then zeros: 16 in all.

    The first row is from element `at` on. Halves are added to halves, two rows in one vector, until
    16 vectors have become one.
    """
    many = count.literal_value

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def folded(row: Any) -> Any:
            while row.type.count > 16:
                half = row.type.count // 2
                low, high = range(half), range(half, 2 * half)
                row = builder.fadd(
                    shuffled(builder, row, row, low), shuffled(builder, row, row, high)
                )
            return row

        rows = _read(builder, args[:3], args[3].type, many)
        sums = [folded(builder.fmul(row, args[3])) for row in rows]
        sums += [ir.Constant(ir.VectorType(FLOAT, 16), None)] * (16 - len(sums))
        for half in (8, 4, 2, 1):
            low = [lane for lane in range(32) if not lane & half]
            high = [lane for lane in range(32) if lane & half]
            sums = [
                builder.fadd(shuffled(builder, a, b, low), shuffled(builder, a, b, high))
                for a, b in zip(sums[::2], sums[1::2], strict=True)
            ]
        return sums[0]

    return Lanes(16)(types.intp, types.intp, types.intp, vector, count), build


@inlined
def _begun(start, at_start, beside, c, at_c, below, rows, count):
    """A tile before its product: a value at the begin of each row, or what c holds."""
    if start is None:
        return load_tile(c, at_c, below, rows, count)
    return splat_tile(start, at_start, beside, rows, count)


def _strip_of(rows: int, wide: int) -> Any:
    """So many rows of c, in tiles of `wide` lanes and, at the end, of 16."""

    @compiled
    def strip(
        start, first, a, at_a, b, at_b, c, at_c, each, apart, along, beside, below, depth, lanes
    ):
        lane = 0
        while lane + wide <= lanes:
            tile = _begun(start, first, each, c, at_c + lane, below, rows, wide)
            for k in range(depth):
                vector = load(b, at_b + k * beside + lane, wide)
                tile = plus_outer(tile, a, at_a + k * along, apart, vector)
            store_tile(c, at_c + lane, below, tile)
            lane += wide
        while lane < lanes:
            tile = _begun(start, first, each, c, at_c + lane, below, rows, 16)
            for k in range(depth):
                vector = load(b, at_b + k * beside + lane, 16)
                tile = plus_outer(tile, a, at_a + k * along, apart, vector)
            store_tile(c, at_c + lane, below, tile)
            lane += 16

    return strip


_strip_8, _strip_4 = _strip_of(8, 32), _strip_of(4, 64)
_strip_2, _strip_1 = _strip_of(2, 64), _strip_of(1, 64)


@compiled
def multiply(
    start, first, a, at_a, b, at_b, c, at_c, each, apart, along, beside, below, depth, rows, lanes
):
    """c[i, j] = start[i] + sum over k of a[i, k] b[k, j], for `rows` of c and `lanes` of each.

    Without a `start` the sum is added to c. A matrix is an address and its first element. From one
    to the next it is so many elements: `each` in `start`, `apart` between rows of a and `along` in
    them, `beside` between rows of b, `below` of c. `lanes` is a multiple of 16.
    """
    how, row = (each, apart, along, beside, below, depth, lanes), 0
    while row + 8 <= rows:
        here = first + row * each, a, at_a + row * apart, b, at_b, c, at_c + row * below
        _strip_8(start, *here, *how)
        row += 8
    if row + 4 <= rows:
        here = first + row * each, a, at_a + row * apart, b, at_b, c, at_c + row * below
        _strip_4(start, *here, *how)
        row += 4
    if row + 2 <= rows:
        here = first + row * each, a, at_a + row * apart, b, at_b, c, at_c + row * below
        _strip_2(start, *here, *how)
        row += 2
    if row < rows:
        here = first + row * each, a, at_a + row * apart, b, at_b, c, at_c + row * below
        _strip_1(start, *here, *how)
