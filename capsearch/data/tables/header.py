"""The names of a table's columns: those of a header, given ones, or c1, c2 ...; checked."""

from collections import Counter
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from capsearch.data.tables.dialect import values_in
from capsearch.data.tables.reading import Reading
from capsearch.data.toml import listed, quoted

SHOWN = 5  # names or values in a message
LISTED = 100  # columns whose names are still written out for a person to change


def names_of(
    first: Sequence[str], reading: Reading, delimiter: str
) -> tuple[tuple[str, ...], list[str]]:
    """The names of a CSV file's columns by its first record, and what is wrong with them."""
    cells = [cell.strip() for cell in first]
    if reading.names:
        if reading.header is None:
            return reading.names, [
                "names needs header = true (they replace those of line 1) or header = false (line "
                "1 holds values)"
            ]
        if len(reading.names) != len(cells):
            told = f"names has {len(reading.names)} names, and line 1 has {len(cells)} values"
            return reading.names, [f"{told} (delimiter {delimiter!r})"]
        return reading.names, check_names(reading.names, can_rename=True)
    if reading.header is False:
        return numbered(len(cells)), []
    values = values_in(cells)
    if reading.header is None and values:
        shown = ", ".join(quoted(value) for value in values[:SHOWN])
        return numbered(len(cells)), [
            f"line 1 holds values ({shown}) where names are expected: write header = false, or "
            "header = true if these are names"
        ]
    names = tuple(cell or f"c{place}" for place, cell in enumerate(cells, 1))
    return names, check_names(names, can_rename=True)


def numbered(width: int) -> tuple[str, ...]:
    """The names of the columns of a file without a header."""
    return tuple(f"c{place}" for place in range(1, width + 1))


def check_names(names: Sequence[str], *, can_rename: bool) -> list[str]:
    """What is wrong with names: none may stand twice, be empty, or hold control characters.

    `can_rename`: a study file can name the columns anew, and is told how.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names, 1):
        places.setdefault(name, []).append(place)
    mistakes = [
        f"the name {quoted(name)} stands for columns {', '.join(map(str, found))}"
        for name, found in places.items()
        if len(found) > 1
    ]
    odd = [name for name in places if not name or not name.isprintable()]
    if odd:
        shown = ", ".join(quoted(name) for name in odd[:SHOWN])
        mistakes.append(f"names with control characters, or empty ones: {shown}")
    if len(mistakes) > SHOWN:
        mistakes = [*mistakes[:SHOWN], f"and {len(mistakes) - SHOWN} more mistakes in names"]
    if mistakes and can_rename:
        mistakes[-1] += f". Name them anew: {_told_names(names)}"
    return mistakes


def no_column(key: str, name: str, known: Collection[str]) -> str:
    """What to say of a name in [data] that is none of the columns."""
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"data.{key}: no column {name!r}.{hint}"


def renamed(names: Sequence[str]) -> tuple[str, ...]:
    """The same names, each once, in print and not empty."""
    clean = [" ".join("".join(c if c.isprintable() else " " for c in n).split()) for n in names]
    clean = [name or f"c{place}" for place, name in enumerate(clean, 1)]
    taken, fresh = Counter(clean), list[str]()
    for name in clean:
        new, number = name, 2
        while new in fresh or (new != name and new in taken):
            new, number = f"{name}_{number}", number + 1
        fresh.append(new)
    return tuple(fresh)


def _told_names(names: Sequence[str]) -> str:
    if len(names) > LISTED:
        return "header = true and names = [...], one for each column"
    return f"header = true and names = {listed(*renamed(names))}"
