"""The command line: parse, call one function, print, exit.

People read stderr; stdout carries the result, and with `--json` exactly one JSON document. What
takes seconds to import is imported by the command that needs it, so that help and usage errors
answer at once.
"""

import json
import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from capsearch import __version__
from capsearch.credentials import shown
from capsearch.errors import BadRequest, CapsearchError

if TYPE_CHECKING:
    from capsearch.study import Circumstances

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
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
ROOT = Path("mlruns")


@app.command(epilog=f"Example: capsearch study imdb --json > imdb.json\n\n{EXIT_CODES}")
def study(
    name: Name,
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    cache: Cache = None,
    engine: Engine = "packed",
    threads: Threads = 0,
    trial_timeout: Timeout = 1800.0,
    as_json: Json = False,
) -> None:
    """Run a study to its end: start it, resume it, or find it complete."""
    from capsearch.display import Progress, show_result
    from capsearch.pipeline import run_study

    where = _circumstances(root, storage, tracking_uri, cache, engine, threads, trial_timeout)
    console = _console()
    with Progress(console, name) as progress:
        finished = run_study(name, where, progress)
    if not finished.worked:
        console.print("Nothing to do: this study is complete.")
    show_result(console, finished.record, finished.document["report"])
    if as_json:
        print(json.dumps(finished.document, indent=2))


@app.command(epilog="Example: capsearch report imdb")
def report(
    name: Name,
    root: Root = ROOT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    cache: Cache = None,
) -> None:
    """Make the report of a complete study anew, from its storage; prints the path."""
    from capsearch.pipeline import rebuild_report

    print(rebuild_report(name, _circumstances(root, storage, tracking_uri, cache)).page)


@app.command("list", epilog="Example: capsearch list")
def list_(root: Root = ROOT, storage: Storage = None) -> None:
    """List the studies that can be named, and those in the storage with their state."""
    from capsearch.display import show_studies
    from capsearch.spec import known
    from capsearch.storage import StudyRow, StudyStore, exists

    url = _storage_url(root, storage)
    rows: tuple[StudyRow, ...] = ()
    if exists(url):
        with closing(StudyStore(url)) as store:
            rows = store.rows()
    show_studies(_console(), sorted(known()), rows)


@app.command(epilog="Example: capsearch ui --port 5000")
def ui(
    root: Root = ROOT,
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 5000,
) -> None:
    """Become the MLflow UI on loopback, over the right store; Ctrl-C ends it."""
    from capsearch.tracking import ui_command

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
    """How much can each size learn by heart? Trains one network a rung on shuffled labels."""
    from capsearch import probe as probing
    from capsearch.display import show_probe
    from capsearch.engine.process import Limits
    from capsearch.study import question_of

    where = _circumstances(ROOT, None, None, cache, engine, threads)
    asked, study, space, data = question_of(name, where.cache)
    rows = study.data.sizes["train"]
    plan = probing.plan(space, study.ladder, rows, asked.search.seed, seeds, epochs)
    console, limits = _console(), Limits(where.threads, trial_timeout)

    def on_seed(number: int) -> None:
        console.print(f"{study.name}: shuffled labels, seed {number} of {seeds}", highlight=False)

    found = probing.run(plan, data, engine, limits, on_seed)
    show_probe(console, study.name, found)
    if as_json:
        print(json.dumps(probing.document(study.name, found), indent=2))


def main() -> NoReturn:
    """Entry point: every error that capsearch raises ends in its message and exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        app()
    except CapsearchError as error:
        _fail(str(error), error.exit_code)
    except _Stopped as stopped:
        word = "interrupted" if stopped.number == signal.SIGINT else "terminated"
        _fail(f"{word}; the same command goes on where this one ended", 128 + stopped.number)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


class _Stopped(BaseException):
    """SIGINT or SIGTERM: unwinds everything, so that state is saved."""

    def __init__(self, number: int) -> None:
        self.number = number


def _stop(number: int, _: FrameType | None) -> None:
    raise _Stopped(number)


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
    threads: int = 0,
    seconds_per_trial: float = 1800.0,
) -> "Circumstances":
    from capsearch.engine.process import ENGINES
    from capsearch.study import Circumstances, usable_cores

    if engine not in ENGINES:
        raise BadRequest(f"--engine: no engine {engine!r}. Legal: {', '.join(ENGINES)}")
    return Circumstances(
        root=root.absolute(),
        storage=_storage_url(root, storage),
        tracking=_tracking_uri(root, tracking_uri),
        cache=_cache(cache),
        engine=engine,
        threads=threads or usable_cores(),
        seconds_per_trial=seconds_per_trial,
    )


def _cache(cache: Path | None) -> Path:
    from capsearch.data.cache import default_root

    return cache or default_root()


def _storage_url(root: Path, storage: str | None) -> str:
    return storage or f"sqlite:///{root.absolute() / 'studies.db'}"


def _tracking_uri(root: Path, uri: str | None) -> str:
    return uri or f"sqlite:///{root.absolute() / 'mlflow.db'}"


if __name__ == "__main__":
    main()
