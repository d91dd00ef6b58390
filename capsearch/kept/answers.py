"""Predictions as a CSV file that a spreadsheet may open: whole, or not there at all."""

import csv
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import numpy as np

from capsearch.errors import BadRequest

NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
FORMULA = ("=", "+", "-", "@")  # what a cell begins with that a spreadsheet would run


def write_csv(file: TextIO, said: Mapping[str, np.ndarray]) -> None:
    """A line of names, then a line a row, in their order; numbers as short as float32 allows."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([harmless(name) for name in said])
    texts = [_texts(values) for values in said.values()]
    writer.writerows(zip(*texts, strict=True))


def harmless(text: str) -> str:
    """Text that stays text: no formula, and no control character. Numbers are as they were.

    A quote mark in front is what spreadsheets take for "this is text".
    """
    shown = "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) == "Cc" else c for c in text
    )
    formula = shown.startswith(FORMULA) and not NUMBER.fullmatch(shown)
    return f"'{shown}" if formula else shown


@contextmanager
def written_to(out: Path | None) -> Iterator[TextIO]:
    """The file to write, put in its place when all is written; None: stdout, at the end.

    Raises BadRequest, before anything else is done, where it cannot be written.
    """
    if out is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    special = out.exists() and not out.is_file()  # a pipe or a device stays what it is
    making = out if special else out.with_name(f".{out.name}.making-{os.getpid()}")
    try:
        with making.open("w", encoding="utf-8", newline="") as file:
            yield file
        if not special:
            making.replace(out)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise BadRequest(f"{out}: cannot be written ({error.strerror or error})") from error
    finally:
        if not special:
            with suppress(OSError):
                making.unlink(missing_ok=True)


def _texts(values: np.ndarray) -> list[str]:
    if values.dtype.kind == "O":
        known = {text: harmless(text) for text in set(values.tolist())}
        return [known[text] for text in values.tolist()]
    return [str(value) for value in values]
