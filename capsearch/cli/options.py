"""The options that several commands share, and what they come to."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from capsearch.cli.entry import ending
from capsearch.credentials import shown, sqlite_address
from capsearch.errors import BadRequest

if TYPE_CHECKING:
    from capsearch.config import RunConfig
    from capsearch.deadline import Deadline
    from capsearch.listeners import Listener

Name = Annotated[str, typer.Argument(help="A study's name, or the path of its TOML file.")]
Override = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--override",
        metavar="TABLE.KEY=VALUE",
        help="Say this as if written in the study file, such as data.path=FILE; may be repeated.",
    ),
]
Root = Annotated[
    Path,
    typer.Option(envvar="CAPSEARCH_ROOT", help="Folder for reports, models and both databases."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="CAPSEARCH_STORAGE",
        help="Database of studies: sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE.",
        show_default="ROOT/studies.db",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow database or server: sqlite:///FILE or http://HOST:PORT.",
        show_default="ROOT/mlflow.db",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        envvar="CAPSEARCH_CACHE",
        help="Folder for prepared data.",
        show_default="~/.cache/capsearch",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        envvar="CAPSEARCH_ENGINE",
        help="What trains: packed (compiled, many networks at once) or fit (Keras' own loop).",
        show_default="as the study was begun, or packed",
    ),
]
Threads = Annotated[
    int, typer.Option(min=0, help="Processor cores to train on; 0 = all that may be used.")
]
Timeout = Annotated[float, typer.Option(min=1.0, help="Seconds that one training may take.")]
Memory = Annotated[
    float, typer.Option(min=0.0, help="GB that one training process may use; 0 = no limit.")
]
Wait = Annotated[
    bool, typer.Option("--wait", help="If this study is already running, wait for it.")
]
Until = Annotated[
    str | None,
    typer.Option(
        "--deadline",
        help="Stop after this time, such as 45m, 2h or 1h30m, with exit code 3. The same command "
        "continues.",
    ),
]
LogFormat = Annotated[
    Literal["text", "json"],
    typer.Option(help="Progress on stderr: text for people, json (an object a line) for logs."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
ROOT = Path("mlruns")


def stderr() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def run_config(
    context: typer.Context,
    root: Path,
    storage: str | None,
    tracking_uri: str | None,
    cache: Path | None,
    *,
    threads: int = 0,
    workers: int = 1,
    timeout: float = 1800.0,
    memory: float = 0.0,
    deadline: str | None = None,
    **more: Any,
) -> "RunConfig":
    """The circumstances that the options of a command come to. Raises BadRequest."""
    from capsearch.config import RunConfig, usable_cores
    from capsearch.executors.base import Limits

    refuse_passwords(context)
    each = threads or (1 if more.get("dask") else max(usable_cores() // workers, 1))
    return RunConfig(
        root=root.absolute(),
        storage=storage_url(root, storage),
        tracking=tracking_address(root, tracking_uri),
        cache=cache_root(cache),
        threads=threads,
        limits=Limits(each, timeout, memory * 1e9 or inf),
        workers=workers,
        deadline=deadline_of(deadline),
        **more,
    )


def refuse_passwords(context: typer.Context) -> None:
    """A command line can be read by everybody on the machine."""
    for name in ("storage", "tracking_uri"):
        given = context.params.get(name)
        source = context.get_parameter_source(name)
        if given and shown(given) != given and source is not None and source.name == "COMMANDLINE":
            variable = "CAPSEARCH_STORAGE" if name == "storage" else "MLFLOW_TRACKING_URI"
            raise BadRequest(
                f"--{name.replace('_', '-')} {shown(given)}: a password on the command line can be "
                f"read by everybody. Set {variable}, or leave it out and use ~/.pgpass"
            )


def deadline_of(text: str | None) -> "Deadline":
    """Of '45m', '2h', '1h30m', '90s' or '90', from now on."""
    from capsearch.deadline import Deadline

    if text is None:
        return Deadline()
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if not hours + minutes + seconds:
        raise BadRequest(f"--deadline {text!r}: must be a time such as 45m, 2h, 1h30m or 90s")
    return Deadline(3600.0 * hours + 60.0 * minutes + seconds)


@contextmanager
def listening(log_format: str, name: str) -> Iterator["Listener"]:
    """Who listens to the study of this name; it also says how the command ends.

    Call it before anything slow is imported: something is seen from then on.
    """
    from capsearch.listeners.json_lines import JsonLines
    from capsearch.listeners.terminal import Terminal

    if log_format == "json":
        log = JsonLines(name)
        with ending(log.failed):
            yield log
        return
    with Terminal(stderr(), name) as terminal, ending(terminal.failed):
        yield terminal


def cache_root(cache: Path | None) -> Path:
    from capsearch.data.cache import default_root

    return cache or default_root()


def storage_url(root: Path, storage: str | None) -> str:
    return storage or sqlite_address(root / "studies.db")


def tracking_address(root: Path, uri: str | None) -> str:
    return uri or sqlite_address(root / "mlflow.db")
