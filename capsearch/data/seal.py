"""The seal on the test split: its rows are read for an opening that is stored, and only then."""

from capsearch.data.source import Rows, Source
from capsearch.records import Opening


def opened_rows(source: Source, opening: Opening) -> Rows:
    """The test rows, for an opening that is in the ledger."""
    assert opening.opened_at  # there is no other way to the rows than to have claimed them
    return source.test_data()
