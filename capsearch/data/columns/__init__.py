"""What the columns of a table are: a strict ladder, and an error where there is a doubt."""

from capsearch.data.columns.declared import KINDS, Column, Declared, DeclaredKind, Kind

__all__ = ["KINDS", "Column", "Declared", "DeclaredKind", "Kind"]
