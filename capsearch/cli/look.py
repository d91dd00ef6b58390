"""`capsearch report`, `list` and `data`: what shows."""

from contextlib import closing

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
    circumstances,
    refuse_passwords,
    stderr,
    storage_url,
)


@app.command(epilog="Example: capsearch report imdb")
def report(
    context: typer.Context,
    name: Name,
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    cache: Cache = None,
) -> None:
    """Make the report of a complete study anew, from its storage; prints the path."""
    from capsearch.pipeline import rebuild_report

    where = circumstances(root, storage, tracking_uri, cache, context=context)
    print(rebuild_report(name, where).page)


@app.command("list", epilog="Example: capsearch list")
def list_(context: typer.Context, root: Root = ROOT, storage: Storage = None) -> None:
    """List the studies that can be named, and those in the storage with their state."""
    from capsearch.listeners.terminal import show_studies
    from capsearch.spec import known
    from capsearch.storage import StudyRow, StudyStore, exists

    refuse_passwords(context)
    url = storage_url(root, storage)
    rows: tuple[StudyRow, ...] = ()
    if exists(url):
        with closing(StudyStore(url)) as store:
            rows = store.rows()
    show_studies(stderr(), sorted(known()), rows)


@app.command(epilog="Example: capsearch data imdb")
def data(name: Name, cache: Cache = None) -> None:
    """Show a study's data: sizes, balance, rows shared by splits, fingerprints."""
    from capsearch.listeners.terminal import show_data
    from capsearch.study import prepare_data

    show_data(stderr(), prepare_data(name, cache_root(cache)).profile)
