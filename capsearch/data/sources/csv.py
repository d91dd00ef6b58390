"""`csv`: rows of a CSV file beside the study file, or of several; gzip is unpacked.

Everything is read as text; what each column is, is found on rows that may be looked at.
"""

from capsearch.data.sources.table_file import TableFile


class Csv(TableFile):
    """The rows of CSV files."""

    form = "csv"
