"""The tracker over MLflow: writes through while it answers, and keeps the rest for later.

Whatever MLflow, requests or SQLAlchemy raise stays in here, and no password with it.
"""

import logging
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from capsearch import credentials
from capsearch.errors import BadRequest
from capsearch.records import Study, StudyRecord, Tracking, Trial
from capsearch.tracking.base import Warn
from capsearch.tracking.store import make_whole
from capsearch.tracking.writer import Writer

PAUSE = 15.0  # seconds before a server that failed is asked again
REACH = 5.0  # seconds that a server has to accept a connection
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306}


class MlflowTracker:
    """Starts a new `Writer` after every failure: a call that failed may have taken effect."""

    def __init__(self, uri: str, root: Path, warn: Warn) -> None:
        # A request whose answer was lost may have taken effect: whoever asks again looks first.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # stdout is the result's
        for noisy in ("alembic", "mlflow"):  # errors are ours to tell, in one line
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        self._uri, self._warn = uri, warn
        local = uri.startswith("sqlite")
        self._artifacts = (root / "artifacts").absolute().as_uri() if local else None
        self._study: Study | None = None
        self._writer: Writer | None = None
        self._waiting: list[Trial] = []
        self._begun = self._silent = self._finished = False
        self._retry_at = 0.0

    @property
    def missing(self) -> int:
        return len(self._waiting) + (not self._begun)

    def begin(self, study: Study) -> None:
        self._study = study
        self._flush()

    def log(self, trial: Trial) -> None:
        if self._writer is None or trial.id not in self._writer.written:
            self._waiting.append(trial)
            self._flush()

    def finish(
        self, record: StudyRecord, report: Path, figures: Sequence[Path], model: Path
    ) -> Tracking | None:
        self._retry_at = 0.0  # the last chance of this run
        self._flush()
        if self._writer is None:
            return None
        try:
            shown = credentials.shown(self._uri)
            done = self._writer.finish(record, report, figures, model, shown)
        except Exception as error:  # MLflow raises its own, requests' and SQLAlchemy's
            self._fell_silent(error)
            return None
        self._finished = True
        return done

    def close(self) -> None:
        if self._writer is not None and not self._finished:
            try:
                self._writer.stop()
            except Exception as error:
                self._fell_silent(error)

    def _flush(self) -> None:
        """Write what waits; stop at the first failure, and leave the server alone for a while."""
        if self._study is None or time.monotonic() < self._retry_at:
            return
        try:
            if self._writer is None:
                reach(self._uri)
                make_whole(self._uri)
                self._writer = Writer(self._uri, self._artifacts, self._study)
                self._begun = True
            while self._waiting:
                self._writer.write(self._waiting[0])
                self._waiting.pop(0)
        except Exception as error:  # MLflow raises its own, requests' and SQLAlchemy's
            if _never_works(error):
                raise BadRequest(f"--tracking-uri: {self._cause(error)}") from None
            self._fell_silent(error)
            return
        if self._silent:
            self._silent = False
            self._warn("MLflow answers again; what was missing is written")

    def _fell_silent(self, error: Exception) -> None:
        if not self._silent:
            self._warn(
                f"MLflow at {credentials.shown(self._uri)} does not answer ({self._cause(error)}). "
                "The study goes on; what is missing is written when it is back"
            )
        self._silent, self._retry_at, self._writer = True, time.monotonic() + PAUSE, None

    def _cause(self, error: Exception) -> str:
        """The error in one line, with nothing in it that must not be read."""
        line = (str(error).splitlines() or [""])[0]
        return f"{type(error).__name__}: {credentials.hide(line, self._uri)[:200]}"


def reach(uri: str) -> None:
    """Raise OSError when nobody listens at a server's address: MLflow would try for minutes."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme.partition("+")[0])
    except ValueError:  # a password with a slash: MLflow is to find out
        return
    if host and port:
        socket.create_connection((host, port), REACH).close()


def _never_works(error: Exception) -> bool:
    """A driver that is not installed or not known: waiting does not help."""
    return isinstance(error, ImportError) or type(error).__name__ == "NoSuchModuleError"
