"""A Dask cluster as people name it, and what it is asked to run."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from capsearch.errors import BadRequest


def scheduler_of(given: str) -> str:
    """The address itself, or the one in the scheduler file of this path. Raises BadRequest."""
    from distributed import Security  # an extra: whoever comes here has it

    address = given
    if "://" not in address:
        with suppress(OSError, ValueError, KeyError, TypeError):
            address = str(json.loads(Path(address).read_text())["address"])
    if not re.fullmatch(r"(tcp|tls|wss?)://\S+:\d+\S*", address):
        raise BadRequest(
            f"--dask {given}: not an address such as tcp://HOST:PORT, nor a scheduler file"
        )
    if (
        address.startswith("tls:")
        and Security().get_connection_args("client")["ssl_context"] is None
    ):
        raise BadRequest(
            f"--dask {given}: needs the files of a certificate in Dask's configuration"
        )
    return address


def entries() -> tuple[Callable[..., Any], ...]:
    """What a cluster is asked to run: the versions of a worker, a pack, and a piece of rows.

    Functions within a function are sent by value, so that a scheduler needs no capsearch; what a
    worker needs it imports when it is asked.
    """

    def versions() -> Any:
        try:
            from capsearch.executors import dask_worker
        except ImportError:
            return None
        return dask_worker.versions()

    def train(task: bytes) -> bytes:
        from capsearch.executors import dask_worker

        return dask_worker.train(task)

    def put(*piece: Any) -> None:
        from capsearch.executors import dask_worker

        dask_worker.put(*piece)

    return versions, train, put
