"""Where studies live: one database, SQLite for one host or PostgreSQL for many."""

from capsearch.storage.board import Board
from capsearch.storage.database import Database, exists
from capsearch.storage.member import LEASE, LeadLost, Member, Role
from capsearch.storage.store import PLACE, StudyRow, StudyStore

__all__ = [
    "LEASE",
    "PLACE",
    "Board",
    "Database",
    "LeadLost",
    "Member",
    "Role",
    "StudyRow",
    "StudyStore",
    "exists",
]
