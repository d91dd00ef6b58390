"""The command line: parse, call one function, print, exit.

People read stderr; stdout carries the result, and with `--json` exactly one JSON document. What
takes seconds to import is imported by the command that needs it, so that help and usage errors
answer at once.
"""

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from capsearch import __version__
from capsearch.credentials import shown
from capsearch.errors import BadRequest, CapsearchError

if TYPE_CHECKING:
    from capsearch.engine.process import Limits
    from capsearch.study import Circumstances

GRACE = 9.0  # seconds to save the state after a signal

EXIT_CODES = """
Exit codes: 0 done, or nothing to do; 1 the study failed; 2 bad request (usage, study file, data);
3 stopped early, resumable; 4 refused: the test split would be opened again for another choice;
5 a store could not be reached; 130, 143 after SIGINT, SIGTERM, state saved.
"""

app = typer.Typer(
    name="capsearch",
    help="Finds the smallest Keras network that is not worse than the best one, on training and "
    "validation data only, then looks at the test set exactly once.",
    epilog="Example: capsearch study imdb",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(help="A study's name, or the path of its TOML file.")]
Root = Annotated[
    Path,
    typer.Option(envvar="CAPSEARCH_ROOT", help="Folder of the default stores, reports and models."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="CAPSEARCH_STORAGE",
        show_envvar=True,
        help="Database of the studies: sqlite:///FILE or postgresql+psycopg://... "
        "[default: ROOT/studies.db]",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow. [default: ROOT/mlflow.db]"
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(envvar="CAPSEARCH_CACHE", help="Prepared data. [default: ~/.cache/capsearch]"),
]
Engine = Annotated[
    str,
    typer.Option(
        envvar="CAPSEARCH_ENGINE",
        help="How to train: packed (many networks at once) or fit (Keras' own loop).",
    ),
]
Threads = Annotated[
    int, typer.Option(min=0, help="Processor cores to train on; 0 = all that are usable.")
]
Timeout = Annotated[float, typer.Option(min=1.0, help="Seconds that one training may take.")]
Memory = Annotated[
    float, typer.Option(min=0.0, help="GB that a process that trains may take; 0 = no limit.")
]
Lease = Annotated[
    float,
    typer.Option(min=1.0, help="Seconds after which a silent worker's trials go to others."),
]
Until = Annotated[
    str | None,
    typer.Option("--deadline", help="Be done in this time, such as 45m, 2h or 1h30m, or exit 3."),
]
LogFormat = Annotated[
    Literal["text", "json"], typer.Option(help="json: one object a line on stderr, for collectors.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
ROOT = Path("mlruns")


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
    """Run a study to its end: start it, resume it, or find it complete."""
    from capsearch.pipeline import run_study, unchanged

    with _watcher(log_format, name) as watch:
        where = _circumstances(root, storage, tracking_uri, cache, engine, context=context)
        where = replace(
            where,
            limits=_limits(threads, workers, trial_timeout, trial_memory),
            workers=workers,
            dask=dask,
            lease=lease,
            deadline=_seconds(deadline),
            wait=wait,
        )
        if if_changed and (row := unchanged(name, where)) is not None:
            watch.warn(f"unchanged since it was completed: {row.key}")
            document = row.document
        else:
            finished = run_study(name, where, watch)
            document = finished.document
            watch.result(finished.record, document, worked=finished.worked)
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
    """Help with a study from any machine until it is complete; its file need not be here.

    Workers share the study's budget, and one of them leads; when it dies, another one does.
    """
    from capsearch.pipeline import join

    if with_parent:
        threading.Thread(target=_end_with_input, daemon=True).start()
    with _watcher(log_format, name) as watch:
        where = _circumstances(root, storage, tracking_uri, cache, engine, context=context)
        limits = _limits(threads, 1, trial_timeout, trial_memory)
        where = replace(where, limits=limits, lease=lease, deadline=_seconds(deadline))
        row = join(name, where, watch)
        watch.warn(f"complete: {row.key}")


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

    where = _circumstances(root, storage, tracking_uri, cache, context=context)
    print(rebuild_report(name, where).page)


@app.command("list", epilog="Example: capsearch list")
def list_(context: typer.Context, root: Root = ROOT, storage: Storage = None) -> None:
    """List the studies that can be named, and those in the storage with their state."""
    from capsearch.display import show_studies
    from capsearch.spec import known
    from capsearch.storage import StudyRow, StudyStore, exists

    _refuse_passwords(context)
    url = _storage_url(root, storage)
    rows: tuple[StudyRow, ...] = ()
    if exists(url):
        with closing(StudyStore(url)) as store:
            rows = store.rows()
    show_studies(_console(), sorted(known()), rows)


@app.command(epilog="Example: capsearch ui --port 5000")
def ui(
    context: typer.Context,
    root: Root = ROOT,
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 5000,
) -> None:
    """Become the MLflow UI on loopback, over the right store; Ctrl-C ends it."""
    from capsearch.tracking import ui_command

    _refuse_passwords(context)
    uri = _tracking_uri(root, tracking_uri)
    if uri.startswith("http"):
        raise BadRequest(f"--tracking-uri {shown(uri)}: a server has its own UI, at this address")
    command, more = ui_command(uri, root, port)
    _console().print(f"MLflow UI at http://127.0.0.1:{port} (Ctrl-C ends it)", highlight=False)
    os.execve(command[0], command, os.environ | more)  # signals reach the server itself


@app.command(epilog="Example: capsearch data imdb")
def data(name: Name, cache: Cache = None) -> None:
    """Show a study's data: sizes, balance, rows shared by splits, fingerprints."""
    from capsearch.display import show_data
    from capsearch.study import prepare_data

    show_data(_console(), prepare_data(name, _cache(cache)).profile)


def main() -> NoReturn:
    """Entry point: every error that capsearch raises ends in its message and exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        app()
    except CapsearchError as error:
        _fail(str(error), error.exit_code)
    except _Stopped as stopped:
        _fail(str(stopped), 128 + stopped.number)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


class _Stopped(BaseException):
    """SIGINT or SIGTERM: unwinds everything, so that state is saved."""

    def __init__(self, number: int) -> None:
        word = "interrupted" if number == signal.SIGINT else "terminated"
        super().__init__(f"{word}; the same command goes on where this one ended")
        self.number = number


def _stop(number: int, _: FrameType | None) -> None:
    """Unwind; when that takes longer than batch systems wait, or a second signal comes, just end.

    What is stored is whole at any moment, and leases end by themselves.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: os._exit(128 + number))
    last = threading.Timer(GRACE, os._exit, [128 + number])
    last.daemon = True
    last.start()
    raise _Stopped(number)


def _end_with_input() -> None:
    """A worker that another process started ends with it: its standard input closes."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _fail(message: str, code: int) -> NoReturn:
    for line in message.splitlines():
        print(f"capsearch: {line}", file=sys.stderr)
    sys.exit(code)


def _version(asked: bool) -> None:
    if asked:
        print(f"capsearch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def _circumstances(
    root: Path,
    storage: str | None,
    tracking_uri: str | None,
    cache: Path | None,
    engine: str = "packed",
    context: typer.Context | None = None,
) -> "Circumstances":
    from capsearch.engine.process import ENGINES
    from capsearch.study import Circumstances

    if engine not in ENGINES:
        raise BadRequest(f"--engine: no engine {engine!r}. Legal: {', '.join(ENGINES)}")
    if context is not None:
        _refuse_passwords(context)
    return Circumstances(
        root=root.absolute(),
        storage=_storage_url(root, storage),
        tracking=_tracking_uri(root, tracking_uri),
        cache=_cache(cache),
        engine=engine,
        limits=_limits(),
    )


def _limits(
    threads: int = 0, workers: int = 1, timeout: float = 1800.0, memory: float = 0.0
) -> "Limits":
    """What each of so many workers on this host may use."""
    from capsearch.engine.process import Limits
    from capsearch.study import usable_cores

    each = threads or max(usable_cores() // workers, 1)
    return Limits(each, timeout, memory * 1e9 or inf)


def _refuse_passwords(context: typer.Context) -> None:
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


def _seconds(text: str | None) -> float:
    """'45m', '2h', '1h30m', '90s' or '90' in seconds."""
    if text is None:
        return inf
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if not hours + minutes + seconds:
        raise BadRequest(f"--deadline {text!r}: must be a time such as 45m, 2h, 1h30m or 90s")
    return 3600.0 * hours + 60.0 * minutes + seconds


@contextmanager
def _watcher(log_format: str, name: str) -> Iterator[Any]:
    """The display, or the log, which then also says how the command ends."""
    from capsearch.display import Progress
    from capsearch.log import JsonLog

    if log_format == "text":
        with Progress(_console(), name) as progress:
            yield progress
        return
    log = JsonLog(name)
    try:
        yield log
    except CapsearchError as error:
        log.failed(str(error), error.exit_code)
        sys.exit(error.exit_code)
    except _Stopped as stopped:
        log.failed(str(stopped), 128 + stopped.number)
        sys.exit(128 + stopped.number)


def _cache(cache: Path | None) -> Path:
    from capsearch.data.cache import default_root

    return cache or default_root()


def _storage_url(root: Path, storage: str | None) -> str:
    return storage or f"sqlite:///{root.absolute() / 'studies.db'}"


def _tracking_uri(root: Path, uri: str | None) -> str:
    return uri or f"sqlite:///{root.absolute() / 'mlflow.db'}"


if __name__ == "__main__":
    main()
