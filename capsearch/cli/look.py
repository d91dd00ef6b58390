"""`capsearch report`, `list`, `ui` and `data`: what shows."""

import os
from contextlib import closing
from typing import Annotated

import typer

from capsearch.cli.app import app
from capsearch.cli.options import (
    ROOT,
    Cache,
    Name,
    Root,
    Storage,
    TrackingUri,
    cache_root,
    refuse_passwords,
    run_config,
    stderr,
    storage_url,
    tracking_address,
)
from capsearch.credentials import shown
from capsearch.errors import BadRequest


@app.command(epilog="Example: capsearch report imdb")
def report(
    context: typer.Context,
    name: Name,
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    cache: Cache = None,
) -> None:
    """Rebuild the report of a finished study (no training)."""
    from capsearch.data.source import SourceRef
    from capsearch.report.page import write
    from capsearch.session import read_study, shown_session
    from capsearch.storage import StudyStorage

    config = run_config(context, root, storage, tracking_uri, cache)
    path, spec = read_study(name)
    with closing(StudyStorage(config.storage)) as opened:
        session = shown_session(path.stem, spec, SourceRef(spec.data), config, opened)
        row = session.row()
        print(write(session.record(), session.reports, row.tracking if row else None).page)


@app.command("list", epilog="Example: capsearch list")
def list_(context: typer.Context, root: Root = ROOT, storage: Storage = None) -> None:
    """List available studies and the ones already run."""
    from capsearch.listeners.tables import show_studies
    from capsearch.spec import known
    from capsearch.storage import StudyRow, StudyStorage, exists

    refuse_passwords(context)
    url = storage_url(root, storage)
    rows: tuple[StudyRow, ...] = ()
    if exists(url):
        with closing(StudyStorage(url)) as store:
            rows = store.rows()
    show_studies(stderr(), sorted(known()), rows)


@app.command(epilog="Example: capsearch ui --port 5000")
def ui(
    context: typer.Context,
    root: Root = ROOT,
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 5000,
) -> None:
    """Open the MLflow UI for these results. Ctrl-C ends it."""
    from capsearch.tracking import ui_command

    refuse_passwords(context)
    uri = tracking_address(root, tracking_uri)
    if uri.startswith("http"):
        raise BadRequest(f"--tracking-uri {shown(uri)}: a server has its own UI, at this address")
    command, more = ui_command(uri, root, port)
    stderr().print(f"MLflow UI at http://127.0.0.1:{port} (Ctrl-C ends it)", highlight=False)
    os.execve(command[0], command, os.environ | more)  # signals reach the server itself


@app.command(epilog="Example: capsearch data imdb")
def data(name: Name, cache: Cache = None) -> None:
    """Show a study's data: sizes, balance, rows in two splits."""
    from capsearch.listeners.tables import show_data
    from capsearch.session import prepared, read_study

    show_data(stderr(), prepared(read_study(name)[1], cache_root(cache)).profile)
