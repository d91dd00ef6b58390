"""Write a request as the manifest of one scheduler. Pure."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from capsearch import __version__
from capsearch.credentials import shown
from capsearch.errors import BadRequest
from capsearch.schedule import quoting
from capsearch.schedule.request import ScheduleRequest

ATTEMPTS = 7  # the first start and six more; each goes on where the last one ended
MEMORY = 1536  # MiB that a process of capsearch stays below
CORES = 2  # of a training process, where the format wants a number and none is asked for
DASK_PORT = 8786

# Where the password goes that may not stand in the manifest.
_PASSWORD_PLACES: Mapping[str, str] = {
    "cron": "into ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, mode 600)",
    "systemd": "as PGPASSWORD=... into ~/.config/{slug}.env (mode 600), the unit's EnvironmentFile",
    "kubernetes": "into a Secret: kubectl create secret generic {slug} "
    "--from-file=PGPASSWORD=FILE, where FILE holds the password alone",
    "slurm": "into ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, mode 600)",
    "airflow": "into ~/.pgpass of the workers' user (HOST:PORT:DATABASE:USER:PASSWORD, mode 600)",
}
FORMATS = tuple(_PASSWORD_PLACES)


def render(format_name: str, request: ScheduleRequest) -> str:
    """The manifest as text. Raises BadRequest for what the format cannot carry."""
    if format_name not in FORMATS:
        raise BadRequest(f"--format: no format {format_name!r}. Legal: {', '.join(FORMATS)}")
    if mistakes := [*_passwords(format_name, request), *_limits(format_name, request)]:
        raise BadRequest(*mistakes)
    threads = request.threads
    if format_name in ("kubernetes", "slurm"):  # which give a job as many cores as it asks for
        threads = threads or (1 if request.machines > 1 else CORES)
    text = (
        _environment()
        .get_template(f"{format_name}.jinja")
        .render(
            request=request,
            command=_command(format_name, request, threads),
            slug=quoting.Quoted(request.slug),
            cron=quoting.Quoted(request.at.cron),
            calendar=[quoting.Quoted(line) for line in request.at.calendar],
            labels=quoting.Quoted(
                f"{{app.kubernetes.io/name: capsearch, app.kubernetes.io/instance: {request.slug}}}"
            ),
            version=quoting.Quoted(__version__),
            port=DASK_PORT,
            attempts=ATTEMPTS,
            starts=len(request.at.minutes) * min(len(request.at.hours), 3),  # in three hours
            job_seconds=request.seconds * (ATTEMPTS if request.deadline else 1),
            # The driver and its training processes; in the end one more scores the test split.
            memory=MEMORY * (1 + request.workers),
            memory_limit=MEMORY * (2 + request.workers),
            cores=threads * request.workers,
        )
    )
    if format_name == "cron" and any(len(line.encode()) > 998 for line in text.splitlines()):
        raise BadRequest("--format cron: the command is longer than the 998 bytes that cron reads")
    return text


def _command(format_name: str, request: ScheduleRequest, threads: int) -> list[str]:
    """What is run, word by word: the driver of the study.

    It waits for another start of the study, but not under cron, where waiting ones would pile up.
    """
    in_pod = format_name == "kubernetes"
    own_file = in_pod and request.study_text is not None
    study = f"/studies/{request.name}.toml" if own_file else request.study
    trainers = ["--workers", str(request.workers)] if request.workers > 1 else []
    if request.machines > 1:
        trainers = ["--dask", f"tcp://127.0.0.1:{DASK_PORT}"]
    return [
        *("capsearch" if in_pod else request.program, "study", study),
        *("--json", "--log-format", "json", "--if-changed"),
        *([] if format_name == "cron" else ["--wait"]),
        *trainers,
        *(["--threads", str(threads)] if threads else []),
        *(["--deadline", request.deadline] if request.deadline else []),
        *(f"--override={said}" for said in request.overrides),
        *([] if in_pod else [f"--root={request.root}"]),
        *([f"--storage={request.storage}"] if request.storage else []),
        *([f"--tracking-uri={request.tracking}"] if request.tracking else []),
    ]


def _passwords(format_name: str, request: ScheduleRequest) -> Iterator[str]:
    """A mistake for each address with a password in it, which says where the password belongs."""
    refusal = "a manifest is no place for a password. Give the address without it, and"
    if request.storage and shown(request.storage) != request.storage:
        place = _PASSWORD_PLACES[format_name].format(slug=request.slug)
        yield f"--storage {shown(request.storage)}: {refusal} put the password {place}"
    if request.tracking and shown(request.tracking) != request.tracking:
        variables = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        yield f"--tracking-uri {shown(request.tracking)}: {refusal} set {variables} where it runs"


def _limits(format_name: str, request: ScheduleRequest) -> Iterator[str]:
    """A mistake for each thing that this format cannot do."""
    if format_name != "kubernetes" and request.machines > 1:
        yield (
            f"--machines {request.machines}: {format_name} runs a study on one machine. "
            f"Legal: --workers N for N training processes on it, or --format kubernetes"
        )
    if format_name != "kubernetes" and request.data_volume:
        yield (
            f"--data-volume {request.data_volume}: {format_name} mounts no volume; the study "
            f"reads the machine's own files. Legal: leave it out, or --format kubernetes"
        )
    if format_name == "kubernetes" and request.machines > 1:
        storage, tracking = shown(request.storage or ""), shown(request.tracking or "")
        kept = "files of a pod are lost with it, and several machines share no volume"
        if not (storage or "postgresql").startswith("postgresql"):
            yield f"--storage {storage}: {kept}. Legal: postgresql+psycopg://USER@HOST/DATABASE"
        if not tracking.startswith(("http://", "https://")):
            yield f"--tracking-uri {tracking or '(none)'}: {kept}. Legal: http://MLFLOW-SERVER:PORT"
    if format_name == "systemd" and set(request.program) & set("'\"\\"):
        yield (
            f"--format systemd: it runs no program with quotes or backslashes in its path, such as "
            f"{request.program}"
        )


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=False,  # noqa: S701 - no page: each format is quoted by its own rules
        finalize=_refuse_unquoted,
        keep_trailing_newline=True,
        loader=PackageLoader("capsearch", "schedule"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    for quote in (
        quoting.shell, quoting.cron, quoting.systemd, quoting.program, quoting.yaml,
        quoting.kubernetes, quoting.python,
    ):  # fmt: skip
        environment.filters[quote.__name__] = quote
    return environment


def _refuse_unquoted(value: Any) -> Any:
    """Fails on text that has gone through no quoting: a template forgot it."""
    if not isinstance(value, quoting.Quoted | int):
        raise TypeError(f"{value!r} reached a manifest unquoted")
    return value
