# mypy: disable-error-code="import-untyped, no-untyped-call"
"""How the kernels are compiled, and when what was compiled before is out of date.

Numba keeps compiled code beside its source and makes it anew when the source changes. It looks at
the file of the function itself alone, though, and kernels are put together from several files:
another step of an optimizer would go on running in its old form. So what is kept here bears the
stamp of every file of this folder, and a change to any of them makes all of it anew (12 s).
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache

FAST = {"contract", "nsz"}  # and not `nnan`: a diverged network must show itself


def stamp(folder: Path) -> str:
    """What all source files of a folder say, as one digest."""
    sources = sorted(folder.glob("*.py"))
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()


class StampedCache(FunctionCache):  # type: ignore[misc]  # numba has no types
    """Numba's cache of one function, out of date when any file of this folder is another."""

    def __init__(self, function: Callable[..., Any], sources: str) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, sources)


SOURCES = stamp(Path(__file__).parent)


def compiled(function: Callable[..., Any]) -> Any:
    """Numba without the GIL; what calls it is compiled with it."""
    return njit(nogil=True, fastmath=FAST)(function)


def cached(function: Callable[..., Any]) -> Any:
    """For what the engine calls: compiled, and cached on disk where some folder can be written."""
    entry = compiled(function)
    try:
        entry._cache = StampedCache(function, SOURCES)
    except RuntimeError:  # no folder that Numba could cache in
        return entry
    return entry


def inlined(function: Callable[..., Any]) -> Any:
    """For what is done to every column. Such functions take addresses, never arrays.

    An array made in a function must be passed on before its address is taken: Numba frees it after
    its last use by name.
    """
    return njit(nogil=True, fastmath=FAST, forceinline=True)(function)
