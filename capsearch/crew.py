"""More workers for a study that one command runs: on this machine, or on a Dask cluster.

Each is a `capsearch worker` process of its own, which finds the storage in its environment: command
lines can be read by everybody. The cluster starts them and sees them end; what they train is on the
study's board, as with any other worker.
"""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from capsearch import credentials
from capsearch.errors import BadRequest, StoreUnavailable
from capsearch.study import Circumstances

GRACE = 10.0  # seconds that a worker has to give back what it holds


@contextmanager
def crew_of(name: str, where: Circumstances) -> Iterator[None]:
    """The workers that were asked for, beside this process; none of them outlives it for long."""
    with ExitStack() as hired:
        if where.dask:
            hired.enter_context(_on_dask(name, where))
        for _ in range(where.workers - 1):
            hired.enter_context(_local(name, where))
        yield


def _command(name: str, where: Circumstances) -> list[str]:
    limits = where.limits
    options = {
        "--root": str(where.root),
        "--cache": str(where.cache),
        "--engine": where.engine,
        "--threads": str(limits.threads),
        "--trial-timeout": str(limits.seconds_per_job),
        "--lease": str(where.lease),
    }
    given = [part for option in options.items() for part in option]
    return [sys.executable, "-m", "capsearch", "worker", name, "--with-parent", *given]


def _environment(where: Circumstances) -> dict[str, str]:
    return {"CAPSEARCH_STORAGE": where.storage, "MLFLOW_TRACKING_URI": where.tracking}


@contextmanager
def _local(name: str, where: Circumstances) -> Iterator[None]:
    with _started(_command(name, where), _environment(where)):
        yield


@contextmanager
def _started(command: Sequence[str], more: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that ends when we do, however we end: its standard input closes."""
    process = subprocess.Popen(
        command,
        env=os.environ | more,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is ours to hand on
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextmanager
def _on_dask(name: str, where: Circumstances) -> Iterator[None]:
    """A worker process on every worker of the cluster."""
    try:
        import distributed  # an extra: only this option needs it
    except ImportError:
        raise BadRequest("--dask: needs the extra: pip install capsearch[dask]") from None
    if credentials.shown(where.storage) != where.storage:
        raise BadRequest(
            "--dask: the storage's password would be sent to the cluster. Leave it out of the "
            "address, and give it to the cluster's workers as PGPASSWORD or ~/.pgpass"
        )
    try:
        client = distributed.Client(where.dask, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise StoreUnavailable(f"--dask {where.dask}: cannot be reached ({error})") from error
    with client:
        stop = distributed.Event(f"capsearch-{uuid.uuid4().hex}", client)
        addresses = list(client.scheduler_info(n_workers=-1)["workers"])
        if not addresses:
            raise BadRequest(f"--dask {where.dask}: the cluster has no workers")
        running = [
            client.submit(
                work_on_dask, name, where, stop.name,
                workers=[address], allow_other_workers=False, pure=False,
            )
            for address in addresses
        ]  # fmt: skip
        try:
            yield
        finally:
            stop.set()
            distributed.wait(running, timeout=GRACE)


def work_on_dask(name: str, where: Circumstances, stop: str) -> int:
    """On a cluster's worker: a `capsearch worker` until it ends or `stop` is set; its exit code.

    A process of its own, for a study's engine must not share one with other people's tasks.
    """
    import distributed

    stopped = distributed.Event(stop)
    with _started(_command(name, where), _environment(where)) as process:
        while process.poll() is None and not stopped.is_set():
            stopped.wait(timeout=0.5)
    return process.returncode
