"""What an error of MLflow's means for what comes next: ask again, tell a person, or leave it out.

MLflow, its HTTP client, its databases' drivers and the artifact stores each raise errors of their
own. They are known here by their features, so that none of these libraries need be imported.
"""

import re
import sqlite3
from collections.abc import Iterator
from ssl import SSLCertVerificationError
from typing import Literal

ErrorKind = Literal["outage", "refusal", "bad request"]

_OUTAGES = (408, 409, 425, 429, 499)  # HTTP status, besides 5xx
_BAD_REQUESTS = (400, 411, 413, 414, 415, 422, 431)
_RETRY_FINDS_IT = "RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"
_UNUSABLE = "INVALID_STATE", "NOT_IMPLEMENTED", "FEATURE_DISABLED"
_STATUS = re.compile(r"failed with error code (\d{3})")  # MLflow, of an answer without JSON
_LOGIN = re.compile(
    r"(?i)authenticat|authoriz|password|permission|denied|forbidden|pg_hba|error code 40[137]"
)
_FINAL = re.compile(  # of a database server that has answered, and gives no code
    r"(?i)authentication failed|password supplied|pg_hba|does not exist|denied|unknown database"
    r"|certificate"
)
_SQLITE: tuple[tuple[ErrorKind, str], ...] = (
    ("outage", "BUSY LOCKED IOERR FULL NOMEM INTERRUPT PROTOCOL"),
    ("bad request", "CONSTRAINT TOOBIG MISMATCH RANGE"),
)
_SQLSTATE: tuple[tuple[ErrorKind, str], ...] = (
    ("outage", "08 40 53 55 57 58"),
    ("bad request", "22 23"),
)
_DRIVERS: dict[str, ErrorKind] = {  # the names that every Python database driver uses
    "OperationalError": "outage",
    "InterfaceError": "outage",
    "DataError": "bad request",
    "IntegrityError": "bad request",
    "DatabaseError": "refusal",
}


class Refused(Exception):
    """The store cannot be used as it is; `advice` says what a person can do."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


class NotAllowed(Exception):
    """This process may not write any more."""


def kind_of(error: BaseException) -> ErrorKind:
    """Which of three things an error is, raised by MLflow or by anything below it.

    outage: nobody said yes or no, and asking again later may help. Connection errors, timeouts,
        408, 409, 429 and 5xx, a database that is locked, full, restarting or away.
    refusal: the answer stays no until a person changes something. 401, 403, 404, what was deleted,
        a file that is no database, a schema of another version, a package that is not there.
    bad request: what capsearch sent is wrong, and would be again. 400, 413, 422, values that a
        database does not take, and mistakes in the program itself.

    The innermost error that tells decides: MLflow wraps whatever happens as an "internal error".
    """
    told = [kind for each in _chain(error) if (kind := _kind_of_one(each)) is not None]
    if told:
        return told[-1]
    return "refusal" if _code(error) else "bad request"


def advice(error: BaseException) -> str:
    """What a person can do about a refusal, as a sentence."""
    for each in _chain(error):
        if isinstance(each, Refused):
            return each.advice
    text = " ".join(map(str, _chain(error)))
    if _deleted(text):
        return "Restore it in MLflow, or remove it for good with `mlflow gc`."
    if _LOGIN.search(text):
        return "Check the user name, the password or token, and what they may do there."
    return "Check that the address is right and what is there can be used."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
    while error is not None:
        yield error
        hidden = error.__cause__ is None and error.__suppress_context__
        error = None if hidden else error.__cause__ or error.__context__


def _kind_of_one(error: BaseException) -> ErrorKind | None:
    """What this error says by itself, if it says anything."""
    response = getattr(error, "response", None)
    if isinstance(error, (Refused, ImportError, SSLCertVerificationError)):
        return "refusal"
    if code := _code(error):
        return _kind_of_answer(error, code)
    if isinstance(status := getattr(response, "status_code", None), int):
        return _kind_of_status(status)
    if any(base.__name__ in _DRIVERS for base in type(error).__mro__):
        return _kind_of_driver(error)
    if isinstance(error, OSError):
        return _kind_of_os(error)
    return "outage" if re.search("Timeout|Connect", type(error).__name__) else None


def _code(error: BaseException) -> str:
    """MLflow's name of the error, or ''."""
    code = getattr(error, "error_code", None)
    return code if isinstance(code, str) else ""


def _kind_of_answer(error: BaseException, code: str) -> ErrorKind | None:
    """Of an error of MLflow's: one that it raised here, or one that a server answered."""
    if _deleted(str(error)) or code in _UNUSABLE:
        return "refusal"
    if code in _RETRY_FINDS_IT:
        return "outage"
    sent = getattr(error, "json", None) or {}
    if code == "INTERNAL_ERROR" and sent.get("error_code") != code:  # what MLflow says by default
        status = _STATUS.search(str(error))
        return _kind_of_status(int(status[1])) if status else None
    return _kind_of_status(error.get_http_status_code())  # type: ignore[attr-defined]


def _kind_of_status(status: int) -> ErrorKind:
    if status in _OUTAGES or (status >= 500 and status != 501):
        return "outage"
    return "bad request" if status in _BAD_REQUESTS else "refusal"


def _kind_of_driver(error: BaseException) -> ErrorKind:
    """Of a database driver's error: by its code, or else by its class and words."""
    if isinstance(error, sqlite3.Error) and (name := getattr(error, "sqlite_errorname", "")):
        return _listed(name.split("_")[1], _SQLITE)
    if isinstance(state := getattr(error, "sqlstate", None), str):
        return _listed(state[:2], _SQLSTATE)
    kind = next(_DRIVERS[b.__name__] for b in type(error).__mro__ if b.__name__ in _DRIVERS)
    return "refusal" if _FINAL.search(str(error)) else kind


def _listed(code: str, table: tuple[tuple[ErrorKind, str], ...]) -> ErrorKind:
    return next((kind for kind, codes in table if code in codes.split()), "refusal")


def _kind_of_os(error: OSError) -> ErrorKind:
    if isinstance(error, ValueError):  # requests, of an address that is none
        return "bad request"
    lasting = FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError
    return "refusal" if isinstance(error, lasting) else "outage"


def _deleted(text: str) -> bool:
    """Whether MLflow speaks of something that was deleted and can be restored."""
    return "must be in the 'active' state" in text or "in deleted state" in text
