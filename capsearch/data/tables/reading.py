"""How a CSV file is to be read, as far as somebody said so."""

from dataclasses import dataclass

DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Reading:
    """`None` and `()`: what the file itself shows, or an error where it leaves a doubt.

    `names` stand in place of a header's; with a header, they replace it.
    """

    delimiter: str | None = None
    encoding: str = "utf-8"
    header: bool | None = None
    names: tuple[str, ...] = ()

    @property
    def header_is_names(self) -> bool:
        """Whether line 1 is none of the rows."""
        return self.header is not False
