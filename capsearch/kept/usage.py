"""How people use a kept model: three lines of Python, and what its folder says of itself."""

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from capsearch.kept.reader import READER
from capsearch.tasks import Task

LISTED = 200  # columns that are named in a README
NEEDED = ("numpy", "scipy", "keras", "tensorflow")


def three_lines(folder: str, rows: str, columns: Iterable[str] = ()) -> tuple[str, str, str]:
    """Python that uses the model in a folder, as `rows` of its form come.

    A CSV file is read as text, as capsearch reads it: 'NA' and '02100' stay what they are. Columns
    that are called c1, c2 ... come from a file without names.
    """
    named = list(columns)
    bare = bool(named) and all(re.fullmatch("c[0-9]+", name) for name in named)
    header, rename = (
        ("header=None, ", '.rename(columns=lambda n: f"c{n + 1}")') if bare else ("", "")
    )
    frame = f'pandas.read_csv("rows.csv", {header}dtype=str, keep_default_na=False){rename}'
    imported, read = {
        "texts": ("runpy", '["A text", "Another one"]'),
        "table": ("pandas, runpy", frame),
        "numbers": ("numpy, runpy", 'numpy.load("rows.npy")'),
        "sparse": ("runpy, scipy", 'scipy.sparse.load_npz("rows.npz")'),
    }[rows]
    place = f"{folder}/{READER}"
    return (
        f"import {imported}",
        f"model = runpy.run_path({place!r})['load']()",
        f"model.predict({read})",
    )


def needed() -> list[str]:
    """What an environment must have, as pip reads it."""
    return [f"{name}=={version(name)}" for name in NEEDED]


def readme(rows: str, kinds: Mapping[str, str], features: int, task: Task) -> str:
    """The README of a folder. Names of columns and labels may hold anything: they are quoted."""
    code = "\n".join(three_lines(".", rows, kinds))
    come = {
        "texts": "A list of texts, or a table with a column `text`.",
        "table": "A table: columns by name in any order; others are ignored, values may be missing "
        "and categories new.",
        "numbers": f"An array of numbers, (rows, {features}).",
        "sparse": f"A SciPy sparse matrix of numbers, (rows, {features}).",
    }[rows]
    listed = [f"- {_quoted(name)}: {kind}" for name, kind in list(kinds.items())[:LISTED]]
    if len(kinds) > LISTED:
        listed.append(f"- and {len(kinds) - LISTED:,} more")
    columns = "\n".join(["", *listed, ""]) if rows == "table" else ""
    labels = ", ".join(map(_quoted, task.labels))
    told = f"`probability_LABEL` of each label: {labels}." if labels else ""
    what = "" if task.kind == "multilabel" else "`prediction`" + (", and " if told else ".")
    return f"""# A model that capsearch kept

In this folder, with {", ".join(needed())}:

```python
{code}
```

Rows: {come}
{columns}
Told of each row ({task.kind}): {what}{told}

What cannot be read is refused with row, column and value. `manifest.json` holds the SHA-256 of
every file that the reader needs, and the reader checks them. MLflow loads the same folder
(`mlflow.pyfunc.load_model`), and `mlflow models serve -m . --env-manager local` serves it.
"""


def _quoted(name: str) -> str:
    """As code in Markdown, in one line."""
    bare = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return f"`` {bare} ``" if "`" in bare else f"`{bare}`"
