"""`capsearch report`, `list` and `data`: what shows."""

from contextlib import closing

import typer

from capsearch.cli.app import app
from capsearch.cli.options import (
    ROOT,
    Cache,
    Name,
    Override,
    Root,
    Storage,
    TrackingUri,
    cache_root,
    refuse_passwords,
    run_config,
    stderr,
    storage_url,
)


@app.command(epilog="Example: capsearch report imdb")
def report(
    context: typer.Context,
    name: Name,
    override: Override = None,
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    cache: Cache = None,
) -> None:
    """Rebuild the report of a finished study (no training)."""
    from capsearch.report.page import write
    from capsearch.session import read_study, stored_session

    config = run_config(context, root, storage, tracking_uri, cache)
    path, spec = read_study(name, override)
    with stored_session(path.stem, spec, config) as session:
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


@app.command(epilog="Example: capsearch data imdb")
def data(name: Name, override: Override = None, cache: Cache = None) -> None:
    """Show a study's data: sizes, balance, shared rows, columns."""
    from capsearch.data.cache import preparation
    from capsearch.listeners.columns import show_prepared
    from capsearch.listeners.tables import show_data
    from capsearch.session import prepared, read_study, source_of

    source = source_of(*read_study(name, override))
    found = prepared(source, cache_root(cache))
    show_data(stderr(), found.profile)
    show_prepared(stderr(), preparation(found.folder))
