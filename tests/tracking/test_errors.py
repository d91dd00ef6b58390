"""Outages, refusals and bad requests are told apart, whatever library raises them."""

import errno
import sqlite3
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

import psycopg
import pytest
import requests
import sqlalchemy as sa
from mlflow.exceptions import MlflowException, RestException

from capsearch.tracking.errors import Refused, advice, kind_of


def raised(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def wrapped(inner: BaseException) -> MlflowException:
    """As MLflow wraps whatever happens."""

    def raising() -> None:
        try:
            raise inner
        except BaseException as error:
            raise MlflowException(f"API request failed with exception {error}") from error

    outer = raised(raising)
    assert isinstance(outer, MlflowException)
    return outer


def answered(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} {HTTPStatus(status).phrase}", response=response)


def sent(**answer: str) -> Exception:
    """What a server answered with this JSON, as MLflow raises it."""
    error: Exception = RestException(answer)  # type: ignore[no-untyped-call]
    return error


OUTAGES = [
    ConnectionRefusedError(),
    TimeoutError(),
    OSError(errno.ENOSPC, "no space left"),
    requests.ConnectionError("reset"),
    requests.ReadTimeout("slow"),
    wrapped(requests.ConnectionError("refused")),
    *(answered(status) for status in (408, 409, 429, 500, 502, 503, 504)),
    sent(error_code="TEMPORARILY_UNAVAILABLE", message="x"),
    sent(error_code="REQUEST_LIMIT_EXCEEDED", message="x"),
    sent(error_code="INTERNAL_ERROR", message="x"),
    sent(error_code="RESOURCE_ALREADY_EXISTS", message="made by another one"),
    MlflowException("API request to endpoint / failed with error code 502 != 200"),
    psycopg.OperationalError("server closed the connection unexpectedly"),
    psycopg.errors.CannotConnectNow("the database system is starting up"),
    psycopg.OperationalError("FATAL:  sorry, too many clients already"),
    psycopg.errors.LockNotAvailable("x"),
]
REFUSALS = [
    PermissionError(),
    FileNotFoundError(),
    ImportError("no mlflow"),
    Refused("no", "do"),
    *(answered(status) for status in (401, 403, 404, 407, 501)),
    sent(error_code="PERMISSION_DENIED", message="x"),
    sent(error_code="UNAUTHENTICATED", message="x"),
    sent(error_code="RESOURCE_DOES_NOT_EXIST", message="x"),
    sent(detail="Not authenticated"),  # of a gateway: its status is lost
    sent(
        error_code="INVALID_PARAMETER_VALUE",
        message="The experiment 1 must be in the 'active' state. Current state is deleted.",
    ),
    MlflowException("API request to endpoint / failed with error code 405 != 200"),
    MlflowException("API request was successful but the response body was not in a valid JSON"),
    MlflowException("Detected out-of-date database schema (found version a, but expected b)"),
    psycopg.OperationalError("FATAL:  password authentication failed for user"),
    psycopg.OperationalError('FATAL:  database "x" does not exist'),
    psycopg.errors.InsufficientPrivilege("permission denied for table runs"),
    wrapped(PermissionError("store")),
]
BAD_REQUESTS = [
    *(answered(status) for status in (400, 413, 422)),
    sent(error_code="INVALID_PARAMETER_VALUE", message="Invalid metric name"),
    MlflowException("API request to endpoint / failed with error code 413 != 200"),
    requests.exceptions.InvalidURL("http://"),
    psycopg.errors.StringDataRightTruncation("value too long"),
    psycopg.errors.UniqueViolation("duplicate"),
    KeyError("a mistake in capsearch"),
    AssertionError(),
]


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_what_may_pass_by_itself_is_an_outage(error: Exception) -> None:
    assert kind_of(error) == "outage"


@pytest.mark.parametrize("error", REFUSALS, ids=repr)
def test_what_a_person_has_to_change_is_a_refusal(error: Exception) -> None:
    assert kind_of(error) == "refusal"
    assert advice(error)


@pytest.mark.parametrize("error", BAD_REQUESTS, ids=repr)
def test_what_would_be_wrong_again_is_a_bad_request(error: Exception) -> None:
    assert kind_of(error) == "bad request"


def test_an_sqlite_file_tells_by_its_code(tmp_path: Path) -> None:
    """Through SQLAlchemy, which wraps the driver's error."""
    (tmp_path / "text.db").write_text("this is no database, whatever its name says" * 100)

    def select(file: Path, statement: str) -> Callable[[], object]:
        def selecting() -> None:
            engine = sa.create_engine(f"sqlite:///{file}", connect_args={"timeout": 0.1})
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)

        return selecting

    file = tmp_path / "x.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        other.execute("INSERT INTO t VALUES (1)")
        other.execute("BEGIN EXCLUSIVE")
        assert kind_of(raised(select(file, "SELECT * FROM t"))) == "outage"
        other.execute("ROLLBACK")
    assert kind_of(raised(select(file, "INSERT INTO t VALUES (1)"))) == "bad request"
    assert kind_of(raised(select(file, "SELECT * FROM runs"))) == "refusal"
    assert kind_of(raised(select(tmp_path / "text.db", "SELECT 1 FROM t"))) == "refusal"
    assert kind_of(raised(select(tmp_path / "none" / "x.db", "SELECT 1"))) == "refusal"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (FileNotFoundError("x"), "address"),
        (sent(error_code="PERMISSION_DENIED", message="x"), "password"),
        (answered(403), "password"),
        (MlflowException("Experiment 'x' already exists in deleted state"), "mlflow gc"),
        (Refused("why", "Do this."), "Do this."),
    ],
)
def test_a_refusal_comes_with_what_to_do(error: Exception, word: str) -> None:
    assert word in advice(error)
