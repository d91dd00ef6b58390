"""Files that hold rows: looked at, hashed, never trusted."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from capsearch.data.tables.files import check_file
from capsearch.errors import BadRequest


def checked(paths: Iterable[str]) -> list[Path]:
    """These files. Raises BadRequest with every one that cannot be read."""
    found, mistakes = [Path(path) for path in paths], list[str]()
    for path in found:
        try:
            check_file(path)
        except BadRequest as error:
            mistakes += error.mistakes
    if mistakes:
        raise BadRequest(*mistakes)
    return found


def sha256_of(paths: Sequence[Path]) -> list[str]:
    """Of the bytes of each file. Raises BadRequest for one that cannot be read."""
    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                found.append(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise BadRequest(f"{path}: cannot be read ({error.strerror})") from error
    return found
