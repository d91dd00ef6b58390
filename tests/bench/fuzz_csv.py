"""Small CSV files made of whatever breaks readers: each ends in a table or in one BadRequest.

    python -m tests.bench.fuzz_csv --files 10000

Every file is read, its columns are typed and prepared, and a study file is written, of which every
question is answered by its first line. Anything but a result or a BadRequest is a fault: it is
printed with the seed that makes it again, and the exit code is 1.
"""

import argparse
import gzip
import random
import tempfile
import tomllib
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.data.columns import columns_of
from capsearch.data.draft import study_file, survey
from capsearch.data.options import check
from capsearch.data.preparation import Preparation
from capsearch.data.table_options import TableOptions
from capsearch.data.tables import read_table
from capsearch.errors import BadRequest

NAMES = ("a", "b", "A", "", "id", "zip code", "x\ty", "é", "a", "[red]b[/]", "=1+1", "Unnamed: 0")
VALUES = (
    "", "1", "2", "-3.5", "007", "1e300", "inf", "nan", "NA", "?", "1,5", "1.234,5", "5%", "$5",
    "yes", "no", "Yes", "true", "0", "2020-01-31", "31/01/2020", "01/02/2020", "20200131",
    "1234567890123456789", "a b c d", "\x07", "\x00", '"', '""', "'", "\n", "\r\n", "\u2028", " ",
    "x" * 500, "Köln", "ß" * 3, "\ufeff", "=cmd()", "[bold]", "-999", "12:30",
)  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "latin-1", "shift_jis")


def made(seed: int) -> bytes:
    """The bytes of one file."""
    random_ = random.Random(seed)
    delimiter = random_.choice((",", ";", "\t", "|", ",", ", "))
    width, rows = random_.randint(1, 6), random_.choice((0, 1, 2, 3, 30, 60))
    pools = [random_.sample(VALUES, random_.randint(1, 4)) for _ in range(width)]
    names = [random_.choice(NAMES) for _ in range(width)]
    if random_.random() < 0.7:
        names = [f"c{i}{name}" for i, name in enumerate(names)]
    lines = [names] if random_.random() < 0.9 else []
    for _ in range(rows):
        lines.append([random_.choice(pool) for pool in pools])
        if random_.random() < 0.01:
            lines[-1].append(random_.choice(VALUES))
    quoting = random_.choice((True, True, True, False))
    end = random_.choice(("\n", "\r\n", "\r", "\n"))
    text = end.join(delimiter.join(_cell(v, delimiter, quoting) for v in line) for line in lines)
    text += random_.choice(("", end, end + end))
    if random_.random() < 0.1:
        text = (
            random_.choice(("sep=;", '"sep=,"', f"sep={delimiter}", "A title", "# made"))
            + end
            + text
        )
    data = text.encode(random_.choice(ENCODINGS[:2] * 3 + ENCODINGS), "replace")
    if random_.random() < 0.1:  # damage
        at = random_.randrange(len(data) + 1)
        data = data[:at] + random_.randbytes(random_.randint(0, 3)) + data[at + 1 :]
    if random_.random() < 0.05:
        data = gzip.compress(data)
        data = data[: len(data) - random_.choice((0, 0, 4, 9))]
    return data


def _cell(value: str, delimiter: str, quoting: bool) -> str:
    needs = any(sign in value for sign in (delimiter.strip() or delimiter, '"', "\n", "\r"))
    return '"' + value.replace('"', '""') + '"' if quoting and needs else value


def answered(text: str) -> dict[str, Any]:
    """The [data] table of a study file with the first line of every question taken."""
    lines, taking = list[str](), False
    for line in text.splitlines():
        choice = line.startswith("#") and not line.startswith("# ")
        more = taking and line.startswith("#") and line != "# or"
        taking = line.startswith("# QUESTION") or more
        lines.append(line[1:] if taking and choice else line)
    return dict(tomllib.loads("\n".join(lines))["data"])


def ending(path: Path) -> str:
    """How a file ends: as a table, with doubts, or refused. Errors of other kinds go through."""
    try:
        found = survey(path)
    except BadRequest as error:
        return _told(error)
    table = answered(study_file(found, path.parent))
    source = table.pop("source")
    options = check(TableOptions, table)
    paths = [path.parent / each for each in options.path]
    rows = read_table(paths, source, options.reading(), options.drop)
    if len({len(column) for column in rows.values()}) != 1:
        raise AssertionError("columns of several lengths")
    features = {name: x for name, x in rows.items() if name not in options.target}
    try:
        columns = columns_of(features, options.declared())
    except BadRequest as error:
        _told(error)
        return "asked again"  # -999 among numbers whose commas were settled first
    if any(column.used for column in columns):
        try:
            x = Preparation.fit(features, columns).transform(features)["x"]
        except ValueError as error:
            if "common enough" not in str(error):
                raise
            return "nothing to learn from"
        dense = x if isinstance(x, np.ndarray) else x.toarray()
        if not np.isfinite(dense).all():
            raise AssertionError("a value that is not finite")
    return "answered" if found.questions else "table"


def _told(error: BadRequest) -> str:
    if not error.mistakes or not all(mistake.strip() for mistake in error.mistakes):
        raise AssertionError("an error without words")
    return "refused"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="Seed of the first file.")
    options = parser.parse_args()
    ends, faults = Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzz.csv"
        for seed in range(options.first, options.first + options.files):
            path.write_bytes(made(seed))
            try:
                ends[ending(path)] += 1
            except Exception:
                faults += 1
                print(f"seed {seed}: {made(seed)[:300]!r}")
                traceback.print_exc(limit=-3)
                if faults >= 10:
                    break
    print(dict(ends), f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
