"""`capsearch study` and `capsearch test`: what trains, and what opens the test split."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from capsearch.cli.app import EXIT_CODES, app
from capsearch.cli.options import (
    ROOT,
    Cache,
    Engine,
    Json,
    LogFormat,
    Memory,
    Name,
    Override,
    Root,
    Storage,
    Threads,
    Timeout,
    TrackingUri,
    Until,
    Wait,
    listening,
    run_config,
    stderr,
)
from capsearch.errors import BadRequest


@app.command(epilog=f"Example: capsearch study imdb --json > imdb.json\n\n{EXIT_CODES}")
def study(
    context: typer.Context,
    name: Name,
    override: Override = None,
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    cache: Cache = None,
    engine: Engine = None,
    threads: Threads = 0,
    workers: Annotated[int, typer.Option(min=1, help="Training processes on this machine.")] = 1,
    dask: Annotated[
        str | None,
        typer.Option(
            help="Train on the workers of this Dask cluster instead: tcp://HOST:PORT, or the path "
            "of a scheduler file."
        ),
    ] = None,
    worker_timeout: Annotated[
        float, typer.Option(min=1.0, help="Seconds without any Dask worker, then exit 3.")
    ] = 60.0,
    trial_timeout: Timeout = 1800.0,
    trial_memory: Memory = 0.0,
    deadline: Until = None,
    if_changed: Annotated[
        bool,
        typer.Option("--if-changed", help="Do nothing when neither study file nor data changed."),
    ] = False,
    wait: Wait = False,
    hold_test: Annotated[
        bool,
        typer.Option("--hold-test", help="Stop before the test split is opened; see `test`."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what would be trained, and what it would take."),
    ] = False,
    add_trials: Annotated[
        int, typer.Option(min=0, help="More trials for a study whose test split is still sealed.")
    ] = 0,
    add_replicates: Annotated[
        int, typer.Option(min=0, help="More fresh seeds for each of its finalists, likewise.")
    ] = 0,
    log_format: LogFormat = "text",
    as_json: Json = False,
) -> None:
    """Run a study, or resume one that was interrupted."""
    from capsearch.session import read_study

    config = run_config(
        context, root, storage, tracking_uri, cache, engine=engine, threads=threads,
        workers=workers, dask=dask, worker_timeout=worker_timeout, timeout=trial_timeout,
        memory=trial_memory, deadline=deadline, wait=wait, hold_test=hold_test,
        add_trials=add_trials, add_replicates=add_replicates,
    )  # fmt: skip
    path, spec = read_study(name, override)
    if dry_run:
        _estimate(path, spec, config, as_json)
        return
    _run(path, spec, config, log_format, as_json, if_changed=if_changed)


@app.command(epilog=f"Example: capsearch test imdb\n\n{EXIT_CODES}")
def test(
    context: typer.Context,
    name: Name,
    override: Override = None,
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    cache: Cache = None,
    trial_timeout: Timeout = 1800.0,
    wait: Wait = False,
    log_format: LogFormat = "text",
    as_json: Json = False,
) -> None:
    """Open the test split of a study that was run with --hold-test."""
    from capsearch.session import read_study, stored_session

    config = run_config(
        context, root, storage, tracking_uri, cache, timeout=trial_timeout, wait=wait
    )
    path, spec = read_study(name, override)
    with stored_session(path.stem, spec, config) as session:
        session.record()  # raises when there is no choice yet that could be tested
        if not session.study.has_test:
            raise BadRequest(f"{path.stem}: there is no test split (test = 0) that could be opened")
    _run(path, spec, config, log_format, as_json)


def _estimate(path: Path, spec: Any, config: Any, as_json: bool) -> None:
    from capsearch.dry_run import estimate
    from capsearch.listeners.tables import show_estimate
    from capsearch.session import source_of

    found = estimate(path.stem, spec, source_of(path, spec), config)
    show_estimate(stderr(), found)
    if as_json:
        print(json.dumps(found.document(), indent=2, allow_nan=False))


def _run(
    path: Path, spec: Any, config: Any, log_format: str, as_json: bool, *, if_changed: bool = False
) -> None:
    name = path.stem
    with listening(log_format, name) as listener:
        from capsearch.run import run
        from capsearch.session import source_of

        result = run(name, spec, source_of(path, spec), config, listener)
        if if_changed and not result.worked:
            listener.note(f"{name}: nothing changed since it was completed")
        else:
            listener.result(result)
    if as_json:
        print(json.dumps(result.document, indent=2, allow_nan=False))
