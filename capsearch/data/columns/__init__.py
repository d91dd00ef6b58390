"""What the columns of a table are: a strict ladder, and an error where there is a doubt."""

from capsearch.data.columns.declared import KINDS, Column, Declared, DeclaredKind, Kind
from capsearch.data.columns.doubt import Doubt
from capsearch.data.columns.ladder import columns_of, look
from capsearch.data.columns.leaks import Leak, leaks
from capsearch.data.columns.target import Target, target_of

__all__ = [
    "KINDS",
    "Column",
    "Declared",
    "DeclaredKind",
    "Doubt",
    "Kind",
    "Leak",
    "Target",
    "columns_of",
    "leaks",
    "look",
    "target_of",
]
