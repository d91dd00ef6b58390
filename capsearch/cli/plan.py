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
    Override,
    Root,
    Storage,
    Threads,
    Timeout,
    TrackingUri,
    cache_root,
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
    override: Override = None,
    at: Annotated[str, typer.Option(help="When, as a cron expression.")] = "0 2 * * *",
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    workers: Annotated[
        int, typer.Option(min=1, max=1000, help="Training processes on each machine.")
    ] = 1,
    machines: Annotated[
        int,
        typer.Option(
            min=1, max=1000, help="For kubernetes: machines. One drives, the others train."
        ),
    ] = 1,
    threads: Threads = 0,
    deadline: Annotated[
        str | None, typer.Option(help="Stop in time for it, such as 45m; go on next time.")
    ] = None,
    image: Annotated[
        str, typer.Option(help="For kubernetes: image with capsearch and your packages.")
    ] = f"capsearch:{__version__}",
    data_volume: Annotated[
        str | None,
        typer.Option(
            help="For kubernetes: a PersistentVolumeClaim with data, seen below /data-in."
        ),
    ] = None,
) -> None:
    """Print a job for cron, systemd, Kubernetes, Slurm or Airflow."""
    from capsearch.schedule import ScheduleRequest, Times, render
    from capsearch.session import read_study
    from capsearch.spec import shipped
    from capsearch.spec.overrides import placed

    path = read_study(name, override)[0]
    request = ScheduleRequest.of(
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
        machines=machines,
        data_volume=data_volume,
        overrides=tuple(map(placed, override or ())),
    )
    print(render(form, request), end="")


@app.command(epilog="Example: capsearch probe rotten_tomatoes --seeds 3")
def probe(
    name: Name,
    override: Override = None,
    cache: Cache = None,
    engine: Engine = None,
    threads: Threads = 0,
    trial_timeout: Timeout = 1800.0,
    seeds: Annotated[int, typer.Option(min=1, help="Label orders and weights to try.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs that a network may take.")] = 200,
    as_json: Json = False,
) -> None:
    """How much can each size memorise? Trains on shuffled labels."""
    from capsearch import probe as probing
    from capsearch.config import usable_cores
    from capsearch.engines.registry import DEFAULT, engine_id
    from capsearch.executors.base import Limits
    from capsearch.listeners.tables import show_probe
    from capsearch.session import new_study, prepared, read_study, source_of

    limits = Limits(threads or usable_cores(), trial_timeout)
    path, asked = read_study(name, override)
    found = prepared(source_of(path, asked), cache_root(cache))
    id_ = engine_id(engine or DEFAULT, limits.threads)
    study, _, space = new_study(path.stem, asked, found.profile, id_, sparse=found.sparse)
    rows = study.data.sizes["train"]
    plan = probing.plan(space, study.ladder, rows, asked.search.seed, seeds, epochs)
    console = stderr()

    def on_seed(number: int) -> None:
        console.print(f"{study.name}: shuffled labels, seed {number} of {seeds}", highlight=False)

    memorised = probing.run(plan, found.folder, id_, limits, on_seed)
    show_probe(console, study.name, memorised)
    if as_json:
        print(json.dumps(probing.document(study.name, memorised), indent=2))
