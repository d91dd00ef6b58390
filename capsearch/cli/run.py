"""`capsearch study` and `capsearch worker`: what trains."""

import json
import os
import signal
import sys
import threading
from dataclasses import replace
from typing import Annotated

import typer

from capsearch.cli.app import EXIT_CODES, app
from capsearch.cli.options import (
    ROOT,
    Cache,
    Engine,
    Json,
    Lease,
    LogFormat,
    Memory,
    Name,
    Root,
    Storage,
    Threads,
    Timeout,
    TrackingUri,
    Until,
    circumstances,
    deadline_of,
    limits_of,
    listening,
)


@app.command(epilog=f"Example: capsearch study imdb --json > imdb.json\n\n{EXIT_CODES}")
def study(
    context: typer.Context,
    name: Name,
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    cache: Cache = None,
    engine: Engine = "packed",
    threads: Threads = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train, on this host.")] = 1,
    dask: Annotated[
        str | None,
        typer.Option(
            help="Train on this Dask cluster instead, on as many threads as each of its workers "
            "has: tcp://HOST:PORT."
        ),
    ] = None,
    trial_timeout: Timeout = 1800.0,
    trial_memory: Memory = 0.0,
    deadline: Until = None,
    if_changed: Annotated[
        bool,
        typer.Option("--if-changed", help="Do nothing when neither study file nor data changed."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for a running start of this study, not exit 3.")
    ] = False,
    lease: Lease = 30.0,
    log_format: LogFormat = "text",
    as_json: Json = False,
) -> None:
    """Run a study, or resume one that was interrupted."""
    with listening(log_format, name) as listener:
        from capsearch.pipeline import run_study, unchanged  # slow, and something is seen by now

        where = circumstances(root, storage, tracking_uri, cache, engine, context=context)
        where = replace(
            where,
            limits=limits_of(threads, workers, trial_timeout, trial_memory),
            workers=workers,
            dask=dask,
            lease=lease,
            deadline=deadline_of(deadline),
            wait=wait,
        )
        if if_changed and (row := unchanged(name, where)) is not None:
            listener.note(f"{name}: nothing changed since it was completed ({row.key})")
            document = row.document
        else:
            finished = run_study(name, where, listener)
            document = finished.document
            listener.result(finished)
    if as_json:
        print(json.dumps(document, indent=2))


@app.command(
    epilog=f"Example: capsearch worker imdb --storage postgresql+psycopg://HOST/DB\n\n{EXIT_CODES}"
)
def worker(
    context: typer.Context,
    name: Name,
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    cache: Cache = None,
    engine: Engine = "packed",
    threads: Threads = 0,
    trial_timeout: Timeout = 1800.0,
    trial_memory: Memory = 0.0,
    deadline: Until = None,
    lease: Lease = 30.0,
    log_format: LogFormat = "text",
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Help with a study from any machine. Its file need not be there.

    Workers share the study's budget, and one of them leads; when it dies, another one does.
    """
    if with_parent:
        threading.Thread(target=_end_with_input, daemon=True).start()
    with listening(log_format, name) as listener:
        from capsearch.pipeline import join

        where = circumstances(root, storage, tracking_uri, cache, engine, context=context)
        limits = limits_of(threads, 1, trial_timeout, trial_memory)
        where = replace(where, limits=limits, lease=lease, deadline=deadline_of(deadline))
        row = join(name, where, listener)
        listener.note(f"{row.name}: complete ({row.key})")


def _end_with_input() -> None:
    """A worker that another process started ends with it: its standard input closes."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
