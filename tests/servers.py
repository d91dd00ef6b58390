"""Real servers on loopback for tests and scripts: PostgreSQL and MLflow, to stop and start at will.

What is absent is skipped, or fails in CI (`programs`).
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.programs import missing

QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # else seven more processes


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Postgres:
    """A PostgreSQL server in a folder of its own, from `with` to its end.

    With a `password`, it asks for it (SCRAM-SHA-256); its URL does not hold it.
    """

    def __init__(self, *, password: str = "", options: str = "") -> None:
        self._password, self._options = password, options
        homes = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not homes:
            missing("initdb")
        self._home, self._port = homes[-1].parent, free_port()
        self._user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        self._folder = Path(tempfile.mkdtemp(prefix="capsearch-pg-"))
        self._data = self._folder / "data"

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://capsearch@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Self:
        if self._user:
            shutil.chown(self._folder, self._user)
        secret = self._folder / "password"
        secret.write_text(self._password or "unused")
        if self._user:
            shutil.chown(secret, self._user)
        method = "scram-sha-256" if self._password else "trust"
        self._run("initdb", "-U", "capsearch", "-A", method, "--no-sync", f"--pwfile={secret}")
        secret.unlink()
        self.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self._folder)

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self._port} -k {self._folder} -F {self._options}"
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """'fast' ends every connection in good order; 'immediate' is as good as a power cut."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def database(self, name: str) -> str:
        """The URL of an empty database, made now."""
        import psycopg

        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url.removesuffix("postgres") + name

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._home / program), "-D", str(self._data), *arguments]
        subprocess.run(
            command, check=True, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL
        )


@dataclass
class MlflowServer:
    """An MLflow server that can be stopped and started again; its store is in `folder`."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        store = f"sqlite:///{self.folder / 'server.db'}"
        artifacts = ["--artifacts-destination", str(self.folder / "artifacts"), "--workers", "1"]
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), "--backend-store-uri", store, *artifacts],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env=os.environ | QUIET,
        )  # fmt: skip
        wait_for(f"{self.uri}/health")

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, number)
            self.process.wait()
            self.process = None


def wait_for(url: str) -> str:
    """What the server answers, once it does."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer within a minute")
