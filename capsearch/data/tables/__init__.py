"""Files with columns: CSV and Parquet, read as they are, with every mistake in one message."""

from capsearch.data.tables.read import names_in, read_table
from capsearch.data.tables.reading import DELIMITERS, Reading

__all__ = ["DELIMITERS", "Reading", "names_in", "read_table"]
