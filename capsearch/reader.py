"""Sources at work in a child process: what they raise, print or break harms nothing here.

A source of ours may tell its identity and its mistakes in this process, for that is quick and safe;
rows are read and prepared in a child, whoever wrote the source.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from capsearch.data import cache
from capsearch.data.source import SourceRef, blamed
from capsearch.engines.child import Child, ChildFailed
from capsearch.errors import BadRequest, CapsearchError
from capsearch.records import digest_of

Check = Callable[[], None]
LONGEST = 64  # characters of an identity in the storage; a longer one is kept as its SHA-256


def never() -> None:
    """Nothing to look at meanwhile."""


def mistakes(ref: SourceRef) -> Sequence[str]:
    """What is wrong with a `[data]` table; nothing when its source can be built."""
    try:
        if ref.ours:
            ref.open()
        else:
            ref.options()
            _in_a_child(ref, "capsearch.reader:built", ref, check=never)
    except BadRequest as error:
        return error.mistakes
    return ()


def identity(ref: SourceRef, check: Check = never) -> str:
    """Names the material of a source. Raises BadRequest."""
    if ref.ours:
        return identity_here(ref)
    found: str = _in_a_child(ref, "capsearch.reader:identity_here", ref, check=check)
    return found


def prepare(ref: SourceRef, root: Path, check: Check = never) -> cache.Prepared:
    """The prepared rows of a source, which is read; from the cache or made now.

    Args:
        ref: names the source.
        root: folder of prepared rows.
        check: called all the while; what it raises ends the reading.

    Raises:
        BadRequest: the source, its material, its rows or the folder are not what they should be.
    """
    found: cache.Prepared = _in_a_child(
        ref, "capsearch.reader:prepare_here", ref, root, check=check
    )
    return found


def _in_a_child(ref: SourceRef, function: str, *args: Any, check: Check) -> Any:
    child = Child(1)
    try:
        return child.result(child.send(function, *args), check=check)
    except ChildFailed as failure:
        if failure.kind == "memory":
            raise CapsearchError(f"data.source: reading {ref.name!r}: {failure}") from None
        raise BadRequest(f"data.source: {ref.name!r} ended its process: {failure}") from None
    finally:
        child.close()


# ---- What runs in the child ----------------------------------------------------------------------


def built(ref: SourceRef) -> None:
    """Raises BadRequest for options that are wrong."""
    ref.open()


def identity_here(ref: SourceRef) -> str:
    """As plain text of at most 64 characters, whatever class of texts a stranger's may be."""
    source = ref.open()
    with blamed(ref.name, "it was asked for its identity"):
        said = source.identity()
        if not isinstance(said, str) or not said:
            raise BadRequest(
                f"data.source: identity() of {ref.name!r} must be a text, not {type(said).__name__}"
            )
        text = str.encode(said, "utf-8", "surrogatepass").decode("utf-8", "replace")
        return text if len(text) <= LONGEST and text.isprintable() else digest_of(text)


def prepare_here(ref: SourceRef, root: Path) -> cache.Prepared:
    """Read, check, split, prepare, write."""
    return cache.prepare(ref.open(), ref.name, root, ref.options())
