"""`capsearch ui`: the MLflow UI for these results, for as long as the command runs."""

import signal
import webbrowser
from contextlib import closing
from typing import Annotated

import typer

from capsearch.cli.app import app
from capsearch.cli.options import (
    ROOT,
    Root,
    TrackingUri,
    refuse_passwords,
    stderr,
    tracking_address,
)
from capsearch.credentials import shown
from capsearch.errors import BadRequest
from capsearch.signals import Stopped


@app.command(epilog="Example: capsearch ui --open")
def ui(
    context: typer.Context,
    root: Root = ROOT,
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 5000,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Open the MLflow UI for these results, at the latest study."""
    from capsearch.tracking.server import UiServer

    refuse_passwords(context)
    uri = tracking_address(root, tracking_uri)
    if uri.startswith("http"):
        raise BadRequest(f"--tracking-uri {shown(uri)}: a server has its own UI, at this address")
    try:
        with closing(UiServer(uri, root, port)) as server:
            stderr().print("Starting the MLflow UI (Ctrl-C ends it)", highlight=False)
            server.wait_until_ready()
            address = server.latest_study()
            print(address, flush=True)
            if open_:
                webbrowser.open(address)
            server.wait()
    except Stopped as stopped:
        interrupted = stopped.exit_code == 128 + signal.SIGINT
        raise typer.Exit(0 if interrupted else stopped.exit_code) from None  # as it is meant to end
