"""The tracker over MLflow: writes while it answers, keeps the rest, and tells people once.

Whatever MLflow, requests or SQLAlchemy raise stays in here, and no password with it.
"""

import logging
import os
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from capsearch import credentials
from capsearch.records import Study, StudyRecord, Tracking, Trial
from capsearch.tracking.base import May, Warn, always
from capsearch.tracking.errors import ErrorKind, NotAllowed, Refused, advice, kind_of
from capsearch.tracking.store import connect_once, make_whole

if TYPE_CHECKING:
    from capsearch.tracking.writer import Writer

PAUSE = 15.0  # seconds before a server that was away is asked again


class MlflowTracker:
    """Starts a new `Writer` after every failure: a call that failed may have taken effect.

    After an outage it asks again in this run. After a refusal it asks once more, at the end: asking
    with a wrong password all the time locks people out. What MLflow does not accept is left out.
    """

    def __init__(self, uri: str, root: Path, warn: Warn, may: May = always) -> None:
        # A request whose answer was lost may have taken effect: whoever asks again looks first.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # stdout is the result's
        os.environ["MLFLOW_LOGGING_LEVEL"] = "CRITICAL"  # errors are ours to tell, in one line
        logging.getLogger("alembic").setLevel(logging.CRITICAL)
        self._uri, self._warn, self._may = uri, warn, may
        local = uri.startswith("sqlite")
        self._artifacts = (root / "artifacts").absolute().as_uri() if local else None
        self._study: Study | None = None
        self._writer: Writer | None = None
        self._waiting: list[Trial] = []
        self._left_out: set[str] = set()  # the ids of trials that MLflow did not accept
        self._told: set[ErrorKind] = set()  # what people have heard of that is not over
        self._begun = self._finished = False
        self._ask_at = 0.0

    @property
    def missing(self) -> int:
        return len(self._waiting) + len(self._left_out) + (not self._begun)

    def begin(self, study: Study) -> None:
        self._study = study
        self._write_waiting()

    def log(self, trial: Trial) -> None:
        known = self._left_out if self._writer is None else self._writer.written | self._left_out
        if trial.id not in known:
            self._waiting.append(trial)
            self._write_waiting()

    def finish(
        self, record: StudyRecord, report: Path, figures: Sequence[Path], model: Path
    ) -> Tracking | None:
        self._ask_at = 0.0  # the last chance of this run
        self._write_waiting()
        if self._writer is not None:
            try:
                shown = credentials.shown(self._uri)
                done = self._writer.finish(record, report, figures, model, shown)
            except NotAllowed:
                self._writer = None
            except Exception as error:  # MLflow raises its own, requests' and SQLAlchemy's
                self._failed(error)
            else:
                self._finished = True
                if done.model_version is None:
                    self._warn(f"MLflow has no model of this study: there is no {model}")
                return done
        return None

    def close(self) -> None:
        if self._writer is not None and not self._finished:
            try:
                self._writer.stop()
            except NotAllowed:
                return
            except Exception as error:
                self._failed(error)

    def _write_waiting(self) -> None:
        """Write what waits; stop at the first failure, and leave MLflow alone for a while."""
        if self._study is None or time.monotonic() < self._ask_at:
            return
        try:
            writer = self._writer or self._open(self._study)
            while self._waiting:
                writer = self._write(writer, self._waiting[0])
                self._waiting.pop(0)
        except NotAllowed:
            self._writer = None
        except Exception as error:  # MLflow raises its own, requests' and SQLAlchemy's
            self._failed(error)
        else:
            if self._told & {"outage", "refusal"}:
                self._told -= {"outage", "refusal"}
                self._warn("MLflow answers again; what was missing is written")

    def _open(self, study: Study) -> "Writer":
        if not self._may():
            raise NotAllowed
        try:
            from capsearch.tracking.writer import Writer  # importing MLflow takes seconds
        except Exception as error:  # a broken installation may raise anything
            raise Refused(
                f"it cannot be imported ({type(error).__name__}: {error})", "Install it anew."
            ) from None
        make_whole(self._uri)
        connect_once(self._uri)
        writer = self._writer = Writer(self._uri, self._artifacts, study, self._may)
        self._begun = True
        if writer.restored:
            self._warn(f"MLflow's experiment of {study.name} had been deleted; it is restored")
        return writer

    def _write(self, writer: "Writer", trial: Trial) -> "Writer":
        """Write a trial, or leave it out when MLflow does not accept it; others go on."""
        try:
            writer.write(trial)
        except NotAllowed:
            raise
        except Exception as error:
            if kind_of(error) != "bad request":
                raise
            self._left_out.add(trial.id)
            self._tell("bad request", error)
            assert self._study is not None  # callers have begun
            return self._open(self._study)  # it removes what was written of it
        return writer

    def _failed(self, error: Exception) -> None:
        kind = kind_of(error)
        self._writer = None
        self._ask_at = time.monotonic() + PAUSE if kind == "outage" else inf
        self._tell(kind, error)

    def _tell(self, kind: ErrorKind, error: Exception) -> None:
        """Each kind once, until it is over, with nothing in it that must not be read."""
        if kind in self._told:
            return
        self._told.add(kind)
        where, cause = f"MLflow at {credentials.shown(self._uri)}", self._cause(error)
        self._warn(
            {
                "outage": f"{where} does not answer ({cause}). The study goes on; what is missing "
                "is written when it is back",
                "refusal": f"{where} cannot be used: {cause}. {advice(error)} The study goes on; "
                "once that is mended, the same command writes what is missing",
                "bad request": f"{where} does not accept what capsearch writes: {cause}. The study "
                "goes on without it. This may be a mistake in capsearch",
            }[kind]
        )

    def _cause(self, error: Exception) -> str:
        line = credentials.hide((str(error).splitlines() or [""])[0], self._uri)[:200].rstrip(".")
        return line if isinstance(error, Refused) else f"{type(error).__name__}: {line}"
