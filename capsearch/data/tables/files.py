"""A file that is to be read, looked at before: is it one, and of what kind?"""

import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from capsearch.errors import BadRequest

HEAD = 1 << 16  # bytes that tell what a file is
GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
MAGIC = {
    b"PK\x03\x04": "a zip or an Excel file; save the sheet as CSV, in UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel file; save the sheet as CSV, in UTF-8",
    b"BZh": "packed with bzip2; unpack it, or pack it with gzip",
    b"\xfd7zXZ": "packed with xz; unpack it, or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it, or pack it with gzip",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\x89HDF": "an HDF5 file; save the table as Parquet or CSV",
    b"\x93NUMPY": 'a NumPy array: source = "arrays" reads it',
    b"ARROW1": "an Arrow file; save the table as Parquet",
    b'{"': "JSON; save the table as CSV or Parquet",
    b"[{": "JSON; save the table as CSV or Parquet",
    b"<!doctype": "a web page; save the table as CSV",
    b"<html": "a web page; save the table as CSV",
    b"<?xml": "XML; save the table as CSV",
}


class WrongEncoding(BadRequest):
    """A text that is written in another encoding; `likely` is worth trying."""

    def __init__(self, mistake: str, likely: str) -> None:
        super().__init__(mistake)
        self.likely = likely


def check_file(path: Path) -> None:
    """Raise BadRequest unless the path is that of an ordinary file which may be read."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise BadRequest(f"{path}: is a folder, not a file")
        if not stat.S_ISREG(mode):
            raise BadRequest(f"{path}: is no ordinary file (a pipe, socket or device)")
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise BadRequest(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise BadRequest(f"{path}: cannot be read ({said})") from error


def head_of(path: Path) -> bytes:
    """The first bytes of a file, unpacked. Raises BadRequest for what is no file or is empty."""
    check_file(path)
    with opened(path) as file:
        head = file.read(HEAD)
    if not head:
        raise BadRequest(f"{path}: is empty")
    return head


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked where it is gzip, whatever its name. Raises BadRequest."""
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == GZIP
            if path.suffix == ".gz" and not packed and raw.peek(1):
                raise BadRequest(f"{path}: is not packed with gzip, as its name says")
            if packed:
                with gzip.open(raw) as file:
                    yield cast("BinaryIO", file)
            else:
                yield raw
    except EOFError:
        raise BadRequest(f"{path}: ends early; the gzip file is not whole") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadRequest(f"{path}: the gzip file is damaged ({error})") from None
    except OSError as error:
        raise BadRequest(f"{path}: cannot be read ({error.strerror or error})") from error


def check_text(path: Path, head: bytes, encoding: str) -> None:
    """Raise BadRequest when a file's first bytes are no text in this encoding."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic) or head[: len(magic)].lower() == magic:
            raise BadRequest(f"{path}: is {kind}")
    if head.startswith(PARQUET):
        raise BadRequest(f'{path}: is a Parquet file: source = "parquet" reads it')
    if encoding.startswith(("utf-16", "utf-32")):
        return
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise WrongEncoding(f'{path}: is written in UTF-16: write encoding = "utf-16"', "utf-16")
    if b"\0" in head:
        even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
        if max(even, odd) > 0.2 * len(head[:2000]) > 4 * min(even, odd):
            kind = "utf-16-be" if even > odd else "utf-16-le"
            raise WrongEncoding(f'{path}: looks like UTF-16: write encoding = "{kind}"', kind)
        raise BadRequest(f"{path}: is no text (it holds NUL bytes)")


def undecodable(path: Path, encoding: str, error: UnicodeError) -> BadRequest:
    """What to say of a file that is not written in its encoding: where, and what to try."""
    if not isinstance(error, UnicodeDecodeError) or encoding.startswith(("utf-16", "utf-32")):
        return BadRequest(f"{path}: is not written in {encoding} ({error})")
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as first:
                found = line[first.start : first.start + 1]
                around = line[max(first.start - 12, 0) : first.start + 12].strip()
                where = f"{path}: line {number}: byte 0x{found.hex()} is not {encoding}"
                return WrongEncoding(where + _other_encodings(around), "cp1252")
    return BadRequest(f"{path}: is not written in {encoding}")


def _other_encodings(around: bytes) -> str:
    """' Write encoding = "cp1252" if ... is right', as far as that can read it."""
    read = {name: around.decode(name, "replace") for name in ("cp1252", "cp1250")}
    told = " or ".join(f'encoding = "{name}" ({text!r})' for name, text in read.items())
    return f". Write the one that reads it right: {told}"
