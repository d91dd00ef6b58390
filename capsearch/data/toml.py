"""Texts as they stand in a study file."""

import re


def quoted(text: str) -> str:
    """A text as a string of TOML, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    safe = (c if c.isprintable() else "\\U" + f"{ord(c):08X}" for c in escaped)
    return '"' + "".join(safe) + '"'


def bare(name: str) -> str:
    """A name as a key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def listed(*texts: str) -> str:
    """Texts as a list."""
    return f"[{', '.join(map(quoted, texts))}]"
