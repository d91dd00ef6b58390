# mypy: disable-error-code="untyped-decorator, import-untyped"
"""Numbers below 1.2e-38 count as zero while kernels run, as in TensorFlow's own kernels.

A processor takes a hundred times as long for such a number as for any other. Training makes them:
the mean gradient of a word or category that no row has had for 700 steps has faded that far.
"""

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_FLUSH_X86 = 1 << 15 | 1 << 6  # results and operands
_FLUSH_ARM = 1 << 24
_STATE = ir.IntType(64)


@intrinsic
def flush(typing: Any) -> Any:
    """Count them as zero from here on, in this thread. Returns what `restore` takes."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        before = _read(builder)
        _write(builder, builder.or_(before, ir.Constant(_STATE, _bits())))
        return before

    return types.int64(), build


@intrinsic
def restore(typing: Any, before: Any) -> Any:
    """Let this thread compute as it did before `flush`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _write(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), build


def _bits() -> int:
    return {"x86_64": _FLUSH_X86, "aarch64": _FLUSH_ARM}.get(_machine(), 0)


def _machine() -> str:
    machine: str = llvm.get_process_triple().partition("-")[0]
    return {"arm64": "aarch64"}.get(machine, machine)


def _read(builder: Any) -> Any:
    """The register that says how this thread computes; 0 where it is not known."""
    if _machine() == "x86_64":
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        _call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), [_place(builder, slot)])
        return builder.zext(builder.load(slot), _STATE)
    if _machine() == "aarch64":
        return _call(builder, "llvm.aarch64.get.fpcr", _STATE, [])
    return ir.Constant(_STATE, 0)


def _write(builder: Any, state: Any) -> None:
    if _machine() == "x86_64":
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        builder.store(builder.trunc(state, ir.IntType(32)), slot)
        _call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [_place(builder, slot)])
    elif _machine() == "aarch64":
        _call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), [state])


def _place(builder: Any, slot: Any) -> Any:
    return builder.bitcast(slot, ir.IntType(8).as_pointer())


def _call(builder: Any, name: str, result: Any, args: list[Any]) -> Any:
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)
