"""What the columns of a table are: a strict ladder, and an error where there is a doubt."""

from capsearch.data.columns.declared import KINDS, Column, Declared, DeclaredKind, Kind
from capsearch.data.columns.doubt import Doubt
from capsearch.data.columns.ladder import columns_of, look

__all__ = ["KINDS", "Column", "Declared", "DeclaredKind", "Doubt", "Kind", "columns_of", "look"]
