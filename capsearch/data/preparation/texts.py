"""A vocabulary as a preparation: texts alone are a table with one column of text."""

from typing import Any

TEXT = "text"  # the column of texts, as sources and kept models call it


def of_words(vocabulary: tuple[str, ...]) -> dict[str, Any]:
    """The description of multi-hot texts, as `transform` reads it; it needs no arrays."""
    column: dict[str, Any] = {"name": TEXT, "kind": "text", "null": [], "idf": None}
    column |= {"at": 0, "width": len(vocabulary), "values": list(vocabulary)}
    return {"sparse": True, "features": len(vocabulary), "columns": [column]}
