"""`capsearch schedule` and `probe`: what is asked before or beside a study."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from capsearch import __version__
from capsearch.cli.app import app
from capsearch.cli.options import (
    ROOT,
    Cache,
    Engine,
    Json,
    Name,
    Root,
    Storage,
    Threads,
    Timeout,
    TrackingUri,
    circumstances,
    limits_of,
    stderr,
)


@app.command(
    epilog="Example: capsearch schedule imdb --format systemd --at '0 2 * * *' --deadline 45m"
)
def schedule(
    name: Name,
    form: Annotated[
        str, typer.Option("--format", help="cron, systemd, kubernetes, slurm or airflow.")
    ],
    at: Annotated[str, typer.Option(help="When, as a cron expression.")] = "0 2 * * *",
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    workers: Annotated[int, typer.Option(min=1, max=1000, help="Workers on the study.")] = 1,
    threads: Threads = 0,
    deadline: Annotated[
        str | None, typer.Option(help="Stop in time for it, such as 45m; go on next time.")
    ] = None,
    image: Annotated[str, typer.Option(help="For kubernetes.")] = f"capsearch:{__version__}",
) -> None:
    """Print a job for cron, systemd, Kubernetes, Slurm or Airflow."""
    from capsearch.schedule import Order, Times, render
    from capsearch.spec import shipped
    from capsearch.study import read_study

    path = read_study(name)[0]
    order = Order.of(
        path,
        shipped=path in shipped().values(),
        at=Times.of(at),
        program=str(Path(sys.executable).with_name("capsearch")),
        root=str(root.absolute()),
        image=image,
        storage=storage,
        tracking=tracking_uri,
        deadline=deadline,
        workers=workers,
        threads=threads,
    )
    print(render(form, order), end="")


@app.command(epilog="Example: capsearch probe rotten_tomatoes --seeds 3")
def probe(
    name: Name,
    cache: Cache = None,
    engine: Engine = "packed",
    threads: Threads = 0,
    trial_timeout: Timeout = 1800.0,
    seeds: Annotated[int, typer.Option(min=1, help="Label orders and weights to try.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs that a network may take.")] = 200,
    as_json: Json = False,
) -> None:
    """How much can each size memorise? Trains on shuffled labels."""
    from capsearch import probe as probing
    from capsearch.listeners.tables import show_probe
    from capsearch.study import prepared_study, read_study

    where = circumstances(ROOT, None, None, cache, engine)
    path, asked = read_study(name)
    study, space, data = prepared_study(path.stem, asked, where.cache)
    rows = study.data.sizes["train"]
    plan = probing.plan(space, study.ladder, rows, asked.search.seed, seeds, epochs)
    console, limits = stderr(), limits_of(threads, timeout=trial_timeout)

    def on_seed(number: int) -> None:
        console.print(f"{study.name}: shuffled labels, seed {number} of {seeds}", highlight=False)

    found = probing.run(plan, data, engine, limits, on_seed)
    show_probe(console, study.name, found)
    if as_json:
        print(json.dumps(probing.document(study.name, found), indent=2))
