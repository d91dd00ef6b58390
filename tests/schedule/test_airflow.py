"""The DAG, executed against a stand-in for the parts of Airflow that it imports.

Airflow itself is larger than everything capsearch needs; the file was tried with 3.3.2.
"""

import sys
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from capsearch.schedule import Times, render
from tests.schedule.readers import HOSTILE, request_of

Result = namedtuple("Result", "exit_code output")


class AirflowException(Exception):
    pass


class AirflowFailException(AirflowException):
    pass


class AirflowSkipException(AirflowException):
    pass


class Dag:
    made: dict[str, Any]

    def __init__(self, **arguments: Any) -> None:
        Dag.made = arguments

    def __enter__(self) -> "Dag":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Operator:
    made: "Operator"

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        Operator.made = self


class Hook:
    code = 0
    ran: list[str]
    terminated = 0

    def run_command(self, command: list[str]) -> Result:
        Hook.ran = command
        return Result(Hook.code, "")

    def send_sigterm(self) -> None:
        Hook.terminated += 1


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = ModuleType("airflow.providers.common.compat.sdk")
    vars(sdk).update(
        DAG=Dag, BaseOperator=Operator, AirflowException=AirflowException,
        AirflowFailException=AirflowFailException, AirflowSkipException=AirflowSkipException,
    )  # fmt: skip
    subprocess = ModuleType("airflow.providers.standard.hooks.subprocess")
    vars(subprocess).update(SubprocessHook=Hook)
    for module in (sdk, subprocess):
        name = module.__name__
        monkeypatch.setitem(sys.modules, name, module)
        while "." in name:
            name = name.rpartition(".")[0]
            monkeypatch.setitem(sys.modules, name, ModuleType(name))


def executed(**changes: Any) -> Any:
    exec(compile(render("airflow", request_of(**changes)), "dag.py", "exec"), {"__name__": "dag"})
    return Operator.made


def test_a_dag_runs_one_study_at_a_time_and_makes_up_for_none() -> None:
    task = executed(at=Times.of("15 3 * * sun"), deadline="2h")
    assert Dag.made == {
        "dag_id": "capsearch-imdb", "schedule": "15 3 * * 0", "catchup": False,
        "start_date": datetime(2025, 1, 1, tzinfo=UTC), "max_active_runs": 1,
        "tags": ["capsearch"],
    }  # fmt: skip
    assert task.arguments == {
        "task_id": "study", "retries": 6, "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": True, "max_retry_delay": timedelta(hours=1),
        "execution_timeout": timedelta(hours=2, minutes=15),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (1, AirflowFailException), (2, AirflowFailException), (4, AirflowFailException),
        (3, AirflowSkipException), (5, AirflowException), (143, AirflowException),
        (-9, AirflowException),
    ],
)  # fmt: skip
def test_an_exit_code_becomes_what_airflow_calls_it(
    code: int, ending: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hook, "code", code)
    with pytest.raises(AirflowException) as error:
        executed().execute({})
    assert error.type is ending


def test_the_words_reach_the_process_as_they_are() -> None:
    study = "/" + "".join(HOSTILE)
    assert executed(study=study).execute({}) is None
    assert Hook.ran[:3] == ["/opt/capsearch/bin/capsearch", "study", study]


def test_a_task_that_is_stopped_passes_it_on() -> None:
    task = executed()
    task.on_kill()
    assert Hook.terminated == 1


def test_a_task_that_is_stopped_too_late_ends_as_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Hook) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(Hook, "send_sigterm", gone)
    executed().on_kill()
