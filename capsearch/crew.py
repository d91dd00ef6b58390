"""More workers for a study that one command runs: on this machine, or on a Dask cluster.

Each is a `capsearch worker` process of its own, which finds the storage in its environment: command
lines can be read by everybody. The cluster starts them and sees them end; what they train is on the
study's board, as with any other worker.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from math import isfinite
from typing import Any

from capsearch import credentials
from capsearch.errors import BadRequest, Interrupted, StoreUnavailable
from capsearch.study import Circumstances

GRACE = 7.0  # seconds that all workers together have to give back what they hold
Check = Callable[[], None]


@contextmanager
def crew_of(name: str, where: Circumstances) -> Iterator[Check]:
    """The workers that were asked for, beside this process; none of them outlives it for long.

    Yields a check that raises Interrupted when there is nobody left who trains.
    """
    with ExitStack() as hired:
        if where.dask:
            yield hired.enter_context(_on_dask(name, where))
        else:
            hired.enter_context(_started(name, where, where.limits.threads, where.workers - 1))
            yield lambda: None


@contextmanager
def _started(
    name: str, where: Circumstances, threads: int, count: int, stderr: Any = subprocess.DEVNULL
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Workers that end when we do, however we end: their standard input closes."""
    command = _command(name, where, threads)
    more = {"CAPSEARCH_STORAGE": where.storage, "MLFLOW_TRACKING_URI": where.tracking}
    processes = [
        subprocess.Popen(
            command,
            env=os.environ | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C is ours to hand on
        )
        for _ in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + GRACE
        for process in processes:
            try:
                process.communicate(timeout=max(until - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _command(name: str, where: Circumstances, threads: int) -> list[str]:
    limits = where.limits
    options = {
        "--root": str(where.root),
        "--cache": str(where.cache),
        "--engine": where.engine,
        "--threads": str(threads),
        "--trial-timeout": str(limits.seconds_per_job),
        "--trial-memory": str(limits.memory / 1e9 if isfinite(limits.memory) else 0),
        "--lease": str(where.lease),
    }
    given = [part for option in options.items() for part in option]
    return [sys.executable, "-m", "capsearch", "worker", name, "--with-parent", *given]


@contextmanager
def _on_dask(name: str, where: Circumstances) -> Iterator[Check]:
    """A worker process on every worker of the cluster; one that dies is put on another one."""
    try:
        import distributed  # an extra: only this option needs it
    except ImportError:
        raise BadRequest("--dask: needs the extra: pip install capsearch[dask]") from None
    for store, address in (("storage", where.storage), ("tracking store", where.tracking)):
        if credentials.shown(address) != address:
            raise BadRequest(
                f"--dask: the password of the {store} would be sent to the cluster. Leave it out "
                "of the address, and give it to the cluster's workers as PGPASSWORD or ~/.pgpass"
            )
    try:
        client = distributed.Client(where.dask, timeout="10s", set_as_default=False)
    except ValueError as error:
        raise BadRequest(f"--dask {where.dask}: not an address such as tcp://HOST:PORT") from error
    except OSError as error:
        raise StoreUnavailable(f"--dask {where.dask}: cannot be reached ({error})") from error
    with client:
        addresses = list(client.scheduler_info(n_workers=-1)["workers"])
        if not addresses:
            raise BadRequest(f"--dask {where.dask}: the cluster has no workers")
        stop = distributed.Event(f"capsearch-{uuid.uuid4().hex}", client)
        running = [
            client.submit(
                work_on_dask, name, where, stop.name,
                workers=[address], allow_other_workers=True, pure=False,
            )
            for address in addresses
        ]  # fmt: skip
        try:
            yield lambda: _check(running, str(where.dask))
        finally:
            with suppress(Exception):  # the cluster may be gone
                stop.set()
            until = time.monotonic() + GRACE
            while time.monotonic() < until and not all(future.done() for future in running):
                time.sleep(0.05)


def _check(running: list[Any], dask: str) -> None:
    """Raise Interrupted when every worker has ended and none because the study is complete."""
    if not all(future.done() for future in running):
        return
    ends = [f.result() if f.status == "finished" else (1, f"lost ({f.status})") for f in running]
    if all(code for code, _ in ends):
        reasons = "; ".join(sorted({reason for _, reason in ends}))
        raise Interrupted(
            f"--dask {dask}: no worker of the cluster trains any more: {reasons}. The same command "
            "goes on where this one ended"
        )


def work_on_dask(name: str, where: Circumstances, stop: str) -> tuple[int, str]:
    """On a cluster's worker: a `capsearch worker` until it ends or `stop` is set.

    It trains on as many threads as the cluster's worker has. Returns its exit code, and the last
    line that it wrote to stderr. A process of its own, for a study's engine must not share one with
    other people's tasks.
    """
    import distributed

    here, stopped = distributed.get_worker(), distributed.Event(stop)
    task = here.state.tasks[here.get_current_task()]
    with tempfile.TemporaryFile() as log:
        with _started(name, where, here.state.nthreads, 1, log) as (process,):
            # A task that is no longer executing here was given up: its driver is gone.
            while process.poll() is None and task.state == "executing" and not stopped.is_set():
                stopped.wait(timeout=0.5)
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines() or [""]
    return process.returncode, said[-1]
