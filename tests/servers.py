"""Real servers for tests and benchmarks. What is absent fails the run; nothing is skipped."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def postgresql(*, password: str = "", options: str = "") -> Iterator[str]:
    """A PostgreSQL server of one's own on loopback; the URL of its `postgres` database.

    With a `password`, it asks for it (SCRAM-SHA-256), and the URL does not hold it.
    """
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert homes, "PostgreSQL is not installed (Debian package postgresql)"
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder, port = Path(tempfile.mkdtemp(prefix="capsearch-pg-")), free_port()
    secret = folder / "password"
    secret.write_text(password or "unused")
    if user:
        shutil.chown(folder, user)
        shutil.chown(secret, user)
    data, home = str(folder / "data"), str(homes[-1])
    method = "scram-sha-256" if password else "trust"
    run = [f"{home}/initdb", "-D", data, "-U", "capsearch", "-A", method, "--no-sync"]
    run += [f"--pwfile={secret}"]
    subprocess.run(run, check=True, user=user, capture_output=True, cwd=folder)
    secret.unlink()
    listen = f"-h 127.0.0.1 -p {port} -k {folder} -F {options}"
    control = [f"{home}/pg_ctl", "-D", data, "-w"]
    start = [*control, "-l", str(folder / "log"), "-o", listen, "start"]
    subprocess.run(start, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        yield f"postgresql+psycopg://capsearch@127.0.0.1:{port}/postgres"
    finally:
        stop = [*control, "-m", "immediate", "stop"]
        subprocess.run(stop, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


def database(server: str, name: str) -> str:
    """The URL of a new and empty database of this server."""
    import psycopg

    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return server.removesuffix("postgres") + name
