"""What an error of MLflow's means for what comes next: ask again, tell a person, or leave it out.

MLflow, its HTTP client, its databases' drivers and the artifact stores each raise errors of their
own. They are known here by their features, so that none of these libraries need be imported.
"""

import re
from collections.abc import Iterator
from ssl import SSLCertVerificationError
from typing import Literal

ErrorKind = Literal["outage", "refusal", "bad request"]

_OUTAGES = (408, 409, 425, 429, 499)  # HTTP status, besides 5xx
_BAD_REQUESTS = (400, 411, 413, 414, 415, 422, 431)
_RETRY_FINDS_IT = "RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"
_UNUSABLE = "INVALID_STATE", "NOT_IMPLEMENTED", "FEATURE_DISABLED"
_LASTING = (
    FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError,
    SSLCertVerificationError,
)  # fmt: skip
_DELETED = re.compile("must be in the 'active' state|in deleted state")
_STATUS = re.compile(r"failed with error code (\d{3})")  # MLflow, of an answer without JSON
_LOGIN = re.compile(
    r"(?i)authenticat|authoriz|password|permission|denied|forbidden|pg_hba|error code 40[137]"
)
_FINAL = re.compile(  # of a database server that has answered, and gives no code
    r"(?i)authentication failed|password supplied|pg_hba|does not exist|denied|unknown database"
    r"|certificate"
)
_OUTAGE_CODES = "BUSY LOCKED IOERR FULL NOMEM INTERRUPT PROTOCOL 08 40 53 55 57 58"
_BAD_REQUEST_CODES = "CONSTRAINT TOOBIG MISMATCH RANGE 22 23"
_CODES: dict[str, ErrorKind] = {  # of SQLite and, by its first two signs, of SQLSTATE
    **dict.fromkeys(_OUTAGE_CODES.split(), "outage"),
    **dict.fromkeys(_BAD_REQUEST_CODES.split(), "bad request"),
}
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
    return "refusal" if hasattr(error, "error_code") else "bad request"


def advice(error: BaseException) -> str:
    """What a person can do about a refusal, as a sentence."""
    given = [each.advice for each in _chain(error) if isinstance(each, Refused)]
    text = " ".join(map(str, _chain(error)))
    if _DELETED.search(text):
        given.append("Restore it in MLflow, or remove it for good with `mlflow gc`.")
    elif _LOGIN.search(text):
        given.append("Check the user name, the password or token, and what they may do there.")
    return (given or ["Check that the address is right and what is there can be used."])[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
    while error is not None:
        yield error
        hidden = error.__cause__ is None and error.__suppress_context__
        error = None if hidden else error.__cause__ or error.__context__


def _kind_of_one(error: BaseException) -> ErrorKind | None:
    """What this error says by itself, if it says anything."""
    code = getattr(error, "error_code", None)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, (*_LASTING, Refused, ImportError)):
        return "refusal"
    if isinstance(code, str):
        return _kind_of_answer(error, code)
    if isinstance(status, int):
        return _kind_of_status(status)
    if any(base.__name__ in _DRIVERS for base in type(error).__mro__):
        return _kind_of_driver(error)
    if isinstance(error, OSError):  # requests': an address that is none
        return "bad request" if isinstance(error, ValueError) else "outage"
    return "outage" if re.search("Timeout|Connect", type(error).__name__) else None


def _kind_of_answer(error: BaseException, code: str) -> ErrorKind | None:
    """Of an error of MLflow's: one that it raised here, or one that a server answered."""
    if _DELETED.search(str(error)) or code in _UNUSABLE:
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
    code = getattr(error, "sqlite_errorname", "SQLITE_").split("_")[1]
    code = code or (getattr(error, "sqlstate", None) or "")[:2]
    if code:
        return _CODES.get(code, "refusal")
    kind = next(_DRIVERS[b.__name__] for b in type(error).__mro__ if b.__name__ in _DRIVERS)
    return "refusal" if _FINAL.search(str(error)) else kind
