"""`parquet`: rows of a Parquet file beside the study file, or of several, with their types."""

from capsearch.data.sources.table_file import TableFile


class Parquet(TableFile):
    """The rows of Parquet files."""

    form = "parquet"
