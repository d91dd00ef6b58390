"""The ladder: what every column is. The first step that holds for all of its values wins.

Declared; constant; yes and no; whole numbers that name rows; numbers; dates; texts; categories.
What holds for nearly all values only, or could be two things, is a doubt and ends in an error that
names the values and the line to write.
"""

from collections.abc import Mapping

import numpy as np

from capsearch.data.columns.categories import boolean_column, category_column, text_column
from capsearch.data.columns.dates import date_column
from capsearch.data.columns.declared import Column, Declared
from capsearch.data.columns.doubt import Doubt
from capsearch.data.columns.named import declared_column
from capsearch.data.columns.numbers import number_column
from capsearch.data.columns.typed import typed_column
from capsearch.data.columns.values import Values
from capsearch.data.tables.header import no_column
from capsearch.errors import BadRequest

Table = Mapping[str, np.ndarray]


def columns_of(table: Table, declared: Declared | None = None) -> tuple[Column, ...]:
    """What the columns of a table are, in its order; columns to drop are left out.

    Args:
        table: Rows that may be looked at, no test rows: arrays of shape (rows,) by column, of texts
            ("" is missing) or of the types that the file has.
        declared: What a person wrote about columns.

    Raises:
        BadRequest: With every doubt and every declared name that is no column.
    """
    declared = declared or Declared()
    found = look(table, declared)
    doubts = [str(each) for each in found if isinstance(each, Doubt)]
    if mistakes := _unknown_names(table, declared) + doubts:
        raise BadRequest(*mistakes)
    return tuple(each for each in found if isinstance(each, Column))


def look(table: Table, declared: Declared | None = None) -> tuple[Column | Doubt, ...]:
    """The same, with a doubt in place of a column that leaves one."""
    said = declared or Declared()
    return tuple(_column(name, x, said) for name, x in table.items() if name not in said.drop)


def _column(name: str, array: np.ndarray, declared: Declared) -> Column | Doubt:
    if array.dtype.kind not in "OU":
        found = typed_column(name, array, declared)
        if found is not None:
            return found
    values = Values.of(name, array, declared)
    if not values.known:
        return values.column("constant", "no value at all", used=False)
    if len(values.counts) == 1 and not values.missing:
        return values.column("constant", "always the same value", used=False)
    if name in declared.kinds or name in declared.formats:
        return declared_column(values, declared)
    for step in (boolean_column, number_column, date_column, text_column):
        if (found := step(values, declared)) is not None:
            return found
    return category_column(values)


def _unknown_names(table: Table, declared: Declared) -> list[str]:
    """Names that are spoken of and do not exist. Dropped ones may be gone already."""
    mistakes = list[str]()
    for key, name in declared.named():
        if name in table or key == "drop":
            continue
        mistakes.append(no_column(key, name, table))
    return mistakes
