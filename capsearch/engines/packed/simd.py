# mypy: disable-error-code="untyped-decorator, import-untyped"
"""A vector of float32 lanes for Numba: what one register of the processor holds.

Numba's own loops keep such sums in memory and test for overlap on every entry of an inner loop, so
the kernels say what they mean: `load` some lanes, add, `store`. A width is a compile-time integer
(4 to 64); LLVM splits a vector that is wider than the machine's registers. Memory is named by
`address`, not by array, because Numba counts references around every call that an array is passed
to: 30 ns each, against 2 for the work. Nothing is checked, and arrays must be C-contiguous.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

FLOAT = ir.FloatType()


class Lanes(types.Type):  # type: ignore[misc]  # numba has no types
    """`count` float32 values side by side."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"Lanes({count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, ir.VectorType(FLOAT, kind.count))


def pointer(builder: Any, address: Any, at: Any, kind: Any) -> Any:
    """Where element `at` of the float32 values at an address lies, as a pointer to `kind`."""
    first = builder.inttoptr(address, FLOAT.as_pointer())
    return builder.bitcast(builder.gep(first, [at]), kind.as_pointer())


@intrinsic
def address(typing: Any, array: Any) -> Any:
    """Where a float32 array's first element lies; None for None. The caller keeps the array."""
    if array == types.none:
        return types.none(array), lambda context, *_: context.get_dummy_value()

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = cgutils.create_struct_proxy(array)(context, builder, args[0]).data
        return builder.ptrtoint(data, context.get_value_type(types.intp))

    return types.intp(array), build


@intrinsic(prefer_literal=True)
def load(typing: Any, address: Any, at: Any, count: Any) -> Any:
    """The `count` elements from element `at` on."""
    lanes = Lanes(count.literal_value)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(FLOAT, lanes.count)
        return builder.load(pointer(builder, args[0], args[1], kind), align=4)

    return lanes(types.intp, types.intp, count), build


@intrinsic(prefer_literal=True)
def load_blocks(typing: Any, address: Any, at: Any, apart: Any, blocks: Any, count: Any) -> Any:
    """`count` elements from as many places as there are `blocks` (1, 2, 4 ...), `apart` elements
    from one to the next.
    """
    lanes, parts = Lanes(count.literal_value), blocks.literal_value

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(FLOAT, lanes.count // parts)
        found = [builder.load(p, align=4) for p in _places(builder, args, kind, parts)]
        while len(found) > 1:  # side by side, pair by pair
            found = [
                shuffled(builder, a, b, range(2 * a.type.count))
                for a, b in zip(found[::2], found[1::2], strict=True)
            ]
        return found[0]

    return lanes(types.intp, types.intp, types.intp, blocks, count), build


@intrinsic(prefer_literal=True)
def store_blocks(typing: Any, address: Any, at: Any, apart: Any, blocks: Any, value: Any) -> Any:
    """Write the lanes of `value` to where `load_blocks` would read them."""
    parts = blocks.literal_value

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        each = args[4].type.count // parts
        places = _places(builder, args, ir.VectorType(FLOAT, each), parts)
        for part, place in enumerate(places):
            lanes = range(part * each, (part + 1) * each)
            builder.store(shuffled(builder, args[4], args[4], lanes), place, align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, blocks, value), build


def _places(builder: Any, args: Any, kind: Any, count: int) -> list[Any]:
    """Pointers from an address and an element on, so many elements apart."""
    address, at, apart = args[:3]
    found = []
    for _ in range(count):
        found.append(pointer(builder, address, at, kind))
        at = builder.add(at, apart)
    return found


def shuffled(builder: Any, a: Any, b: Any, lanes: Any) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(a, b, mask)


@intrinsic
def load_one(typing: Any, address: Any, at: Any) -> Any:
    """Element `at`, a float32."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(pointer(builder, args[0], args[1], FLOAT))

    return types.float32(types.intp, types.intp), build


@intrinsic
def load_int(typing: Any, address: Any, at: Any) -> Any:
    """Element `at` of int64 values."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load(builder.gep(first, [args[1]]))

    return types.int64(types.intp, types.intp), build


@intrinsic
def store_one(typing: Any, address: Any, at: Any, value: Any) -> Any:
    """Write element `at`, a float32."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], pointer(builder, args[0], args[1], FLOAT))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.float32), build


@intrinsic
def prefetch(typing: Any, address: Any, at: Any) -> Any:
    """Ask for the line of the cache that holds element `at`, which may lie anywhere."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        which = pointer(builder, args[0], args[1], ir.IntType(8))
        builder.call(function, [which, _int(0), _int(2), _int(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), build


@intrinsic
def store(typing: Any, address: Any, at: Any, value: Any) -> Any:
    """Write the lanes of `value` from element `at` on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = pointer(builder, args[0], args[1], args[2].type)
        builder.store(args[2], place, align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, value), build


@intrinsic(prefer_literal=True)
def splat(typing: Any, value: Any, count: Any) -> Any:
    """The same float32 in every lane."""
    lanes = Lanes(count.literal_value)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splatted(builder, args[0], lanes.count)

    return lanes(types.float32, count), build


def splatted(builder: Any, value: Any, count: int) -> Any:
    """A float32 in every lane of a vector."""
    kind = ir.VectorType(FLOAT, count)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, _int(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, lane by lane, rounded once where the processor can."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call("fmuladd", builder, args)

    return a(a, a, a), build


@intrinsic
def sqrt(typing: Any, a: Any) -> Any:
    """The square root of every lane."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call("sqrt", builder, args)

    return a(a), build


@intrinsic
def sign(typing: Any, a: Any) -> Any:
    """-1, 0 or 1 in every lane; 0 for 0."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(FLOAT, a.count)
        zero, one, minus = (ir.Constant(kind, [v] * a.count) for v in (0.0, 1.0, -1.0))
        negative = builder.select(builder.fcmp_ordered("<", args[0], zero), minus, zero)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), one, negative)

    return a(a), build


def call(name: str, builder: Any, args: Any) -> Any:
    """Call LLVM's intrinsic of that name on vectors of one kind."""
    kind = args[0].type
    of_kind = ir.FunctionType(kind, [kind] * len(args))
    function = cgutils.get_or_insert_function(
        builder.module, of_kind, f"llvm.{name}.v{kind.count}f32"
    )
    return builder.call(function, args)


def _int(value: int) -> Any:
    return ir.Constant(ir.IntType(32), value)


class _SameWidth(AbstractTemplate):  # type: ignore[misc]
    """Two vectors of one width give a third."""

    def generic(self, args: Any, keywords: Any) -> Any:
        if all(isinstance(kind, Lanes) and kind == args[0] for kind in args):
            return signature(args[0], *args)
        return None


def _arithmetic(symbol: Any, instruction: str) -> None:
    """Teach Numba one operator between two vectors of the same width."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)

    infer_global(symbol)(type(f"_{instruction}", (_SameWidth,), {}))
    lower_builtin(symbol, Lanes, Lanes)(build)


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_symbol, _instruction)
