"""Where studies live: one database, SQLite for one host or PostgreSQL for any."""

from capsearch.storage.database import Database, exists
from capsearch.storage.lock import driver_lock
from capsearch.storage.studies import StudyRow, StudyStorage
from capsearch.storage.writer import FenceLost, StudyWriter

__all__ = [
    "Database",
    "FenceLost",
    "StudyRow",
    "StudyStorage",
    "StudyWriter",
    "driver_lock",
    "exists",
]
