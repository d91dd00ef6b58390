"""The MLflow UI over a store: a server on loopback whose processes all end with this one.

MLflow itself is not imported: its own command serves, in other processes.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from capsearch import credentials
from capsearch.errors import BadRequest, CapsearchError, StoreUnavailable
from capsearch.tracking.store import check_address, connect_once, sqlite_file

READY = 120.0  # seconds that the server has to answer for the first time
# The process group ends when the server does, and when this process closes the pipe that `cat`
# reads or is gone, `kill -9` included.
GUARDED = '("$@"; kill -KILL 0) & cat >/dev/null; kill -KILL 0'
AS_TRAINING = "workflowType=machine_learning"  # or the page is laid out for language models
SETTINGS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # the jobs service is eight processes
    "MLFLOW_LOGGING_LEVEL": "ERROR",  # why it does not run is said in its log alone
}


class UiServer:
    """Starts at once; `close` ends it. Raises BadRequest where it cannot work."""

    def __init__(self, uri: str, root: Path, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._uri = uri
        _check_store(uri)
        _check_port(port)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the server
        server = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
        server += ["--port", str(port)]
        server += ["--default-artifact-root", (root / "artifacts").absolute().as_uri()]
        self._process = subprocess.Popen(  # noqa: S603 - this program's own server
            ["/bin/sh", "-c", GUARDED, "sh", *server],
            # A store's address may hold a password, and everybody can read a command line.
            env=os.environ | SETTINGS | {"MLFLOW_BACKEND_STORE_URI": uri},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
        )

    def wait_until_ready(self) -> None:
        """Until it answers. Raises CapsearchError with its reason when it ends instead."""
        ends = time.monotonic() + READY
        while True:
            with suppress(OSError):
                self._get("/health")
                return
            if self._process.poll() is not None or time.monotonic() > ends:
                raise CapsearchError(f"MLflow's server does not run: {self._reason()}")
            time.sleep(0.1)

    def latest_study(self) -> str:
        """The address of the run of the study that was begun last, or of the list of them all."""
        names = {"max_results": 1000, "filter": "name LIKE 'capsearch/%'"}
        found = self._ask("experiments/search", names).get("experiments", [])
        question = {
            "experiment_ids": [each["experiment_id"] for each in found],
            "filter": "tags.`capsearch.group` = 'study'",
            "order_by": ["attributes.start_time DESC"],
            "max_results": 1,
        }
        for run in self._ask("runs/search", question).get("runs", []) if found else []:
            info = run["info"]
            page = f"experiments/{info['experiment_id']}/runs/{info['run_id']}"
            return f"{self.address}/#/{page}?{AS_TRAINING}"
        return self.address

    def wait(self) -> None:
        """Until it ends, which it does not by itself."""
        self._process.wait()
        raise CapsearchError(f"MLflow's server has ended: {self._reason()}")

    def close(self) -> None:
        assert self._process.stdin is not None  # it is a pipe
        self._process.stdin.close()
        self._process.wait()
        self._errors.close()

    def _ask(self, path: str, question: dict[str, Any]) -> Any:
        return json.loads(self._get(f"/api/2.0/mlflow/{path}", json.dumps(question).encode()))

    def _get(self, path: str, body: bytes | None = None) -> bytes:
        request = Request(f"{self.address}{path}", body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
        with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
            content: bytes = answer.read()
            return content

    def _reason(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "it gave no reason")
        return credentials.hide(last, self._uri)[:300]


def _check_store(uri: str) -> None:
    """A store that is there: MLflow's server would make an empty one, or try for minutes."""
    check_address(uri)
    file = sqlite_file(uri)
    if file is not None and not file.is_file():
        raise BadRequest(
            f"{file}: there is no such file, so there is nothing to show. Legal: the --root or "
            "--tracking-uri of a study that has been run"
        )
    try:
        connect_once(uri)
    except Exception as error:  # each driver raises its own
        cause = credentials.hide((str(error).splitlines() or [""])[0], uri)
        raise StoreUnavailable(f"{credentials.shown(uri)}: {cause}") from None


def _check_port(port: int) -> None:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(("127.0.0.1", port))
    except OSError as error:
        raise BadRequest(
            f"--port {port}: {error.strerror}. Legal: a free port of 127.0.0.1, 1 to 65535"
        ) from None
