"""Addresses of stores: made of a path, and kept from showing the password in them. Pure."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus, unquote

HIDDEN = "***"
_USER = re.compile(r"^(?P<scheme>[^:/?#]+://)(?P<user>[^:/@]*)(?::(?P<password>.*))?@(?P<rest>.*)$")
_ANY_USER = re.compile(r"(?<=://)([^\s:/@'\"]*):[^\s@'\"]+@")
_SECRET = re.compile(r"(?i)((?:password|passwd|pwd|token|secret)=)[^&\s'\"]+")


def sqlite_address(file: Path) -> str:
    """The address of a SQLite file, whatever its path contains: '?' and '#' end one elsewhere."""
    from sqlalchemy import URL  # a tenth of a second, which help does not need

    path = str(file.absolute())
    plain = URL.create("sqlite", database=path)
    if path in str(plain):
        return str(plain)
    # MLflow takes what follows sqlite:/// for a path as it stands, and would make its folders.
    return str(plain.set(drivername="sqlite+pysqlite"))


def shown(address: str) -> str:
    """The address with every password in it replaced, for messages, tags and results."""
    found = _USER.match(address)
    if found:
        password = "" if found["password"] is None else f":{HIDDEN}"
        address = f"{found['scheme']}{found['user']}{password}@{found['rest']}"
    return _SECRET.sub(rf"\1{HIDDEN}", address)


def hide(text: str, address: str) -> str:
    """The text with the address as it is `shown`, and its passwords gone in any spelling.

    Libraries quote an address back as it was given, decoded, encoded anew, or cut into parts.
    """
    text = text.replace(address, shown(address))
    for secret in sorted(_spellings(address), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _SECRET.sub(rf"\1{HIDDEN}", _ANY_USER.sub(rf"\1:{HIDDEN}@", text))


def _spellings(address: str) -> set[str]:
    found = _USER.match(address)
    secrets = {found["password"]} if found and found["password"] else set()
    query = address.partition("?")[2]
    secrets |= {value for key, value in parse_qsl(query) if _SECRET.match(f"{key}={value}")}
    plain = secrets | {unquote(secret) for secret in secrets}
    encoded = {encode(p) for p in plain for encode in (quote, quote_plus, _quote_all)}
    return (plain | encoded) - {""}


def _quote_all(text: str) -> str:
    return quote(text, safe="")
