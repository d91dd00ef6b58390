"""An order, written as the manifest of one engine. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from capsearch import __version__
from capsearch.credentials import shown
from capsearch.errors import BadRequest
from capsearch.schedule import quoting
from capsearch.schedule.order import Order

ATTEMPTS = 7  # the first start and six more; each goes on where the last one ended
MEMORY = 1536  # MiB that a process of capsearch stays below
CORES = 2  # where the engine wants a number and none is asked for

# Where the password goes that may not stand in the manifest.
_SECRETS: Mapping[str, str] = {
    "cron": "into ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, mode 600)",
    "systemd": "as PGPASSWORD=... into ~/.config/{slug}.env (mode 600), the unit's EnvironmentFile",
    "kubernetes": "into a Secret: kubectl create secret generic {slug} "
    "--from-file=PGPASSWORD=FILE, where FILE holds the password alone",
    "slurm": "into ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, mode 600)",
    "airflow": "into ~/.pgpass of the workers' user (HOST:PORT:DATABASE:USER:PASSWORD, mode 600)",
}
FORMATS = tuple(_SECRETS)
_MANY = ("kubernetes", "slurm")  # where workers are on machines of their own


def render(form: str, order: Order) -> str:
    """The manifest as text. Raises BadRequest for what the format cannot carry."""
    if form not in FORMATS:
        raise BadRequest(f"--format: no format {form!r}. Legal: {', '.join(FORMATS)}")
    _check(form, order)
    command = _command(form, order)
    text = (
        _environment()
        .get_template(f"{form}.jinja")
        .render(
            order=order,
            command=command,
            slug=quoting.Inert(order.slug),
            cron=quoting.Inert(order.at.cron),
            calendar=[quoting.Inert(line) for line in order.at.calendar],
            version=quoting.Inert(__version__),
            attempts=ATTEMPTS,
            starts=len(order.at.minutes) * min(len(order.at.hours), 3),  # in three hours
            pods=order.workers,
            job_seconds=order.seconds * (ATTEMPTS if order.deadline else 1),
            # A worker is its driver and its engine; one of them also gets the last look ready.
            memory=MEMORY * 2 * _here(form, order),
            memory_limit=MEMORY * (2 * _here(form, order) + 1),
            cores=(order.threads or CORES) * _here(form, order),
        )
    )
    if form == "cron" and any(len(line.encode()) > 998 for line in text.splitlines()):
        raise BadRequest("--format cron: the command is longer than the 998 bytes that cron reads")
    return text


def _command(form: str, order: Order) -> list[str]:
    """What the engine runs, word by word.

    On machines of their own, every process is a worker: it starts, leads or joins the study. It
    waits for a second start elsewhere, but not under cron, where waiting ones would pile up.
    """
    contained = form == "kubernetes"
    study = (
        f"/studies/{order.name}.toml" if contained and order.question is not None else order.study
    )
    words = ["capsearch" if contained else order.program]
    if form in _MANY and order.workers > 1:
        words += ["worker", study, "--log-format", "json"]
    else:
        words += ["study", study, "--json", "--log-format", "json", "--if-changed"]
        words += [] if form == "cron" else ["--wait"]
        words += ["--workers", str(order.workers)] if order.workers > 1 else []
    threads = order.threads or (CORES if form in _MANY else 0)
    words += ["--threads", str(threads)] if threads else []
    words += ["--deadline", order.deadline] if order.deadline else []
    words += [] if contained else [f"--root={order.root}"]
    words += [f"--storage={order.storage}"] if order.storage else []
    words += [f"--tracking-uri={order.tracking}"] if order.tracking else []
    return words


def _here(form: str, order: Order) -> int:
    """Workers in one allotment of memory and cores."""
    return 1 if form in _MANY else order.workers


def _check(form: str, order: Order) -> None:
    mistakes = []
    place = _SECRETS[form].format(slug=order.slug)
    if order.storage and shown(order.storage) != order.storage:
        mistakes.append(
            f"--storage {shown(order.storage)}: a manifest is no place for a password. "
            f"Give the address without it, and put the password {place}"
        )
    if order.tracking and shown(order.tracking) != order.tracking:
        mistakes.append(
            f"--tracking-uri {shown(order.tracking)}: a manifest is no place for a password. Give "
            f"the address alone, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
            f"where it runs"
        )
    if form == "systemd" and set(order.program) & set("'\"\\"):
        mistakes.append(
            f"--format systemd: it runs no program with quotes or backslashes in its path, such as "
            f"{order.program}"
        )
    if form in _MANY and order.workers > 1:
        shared = "workers on several machines share"
        if (order.storage or "sqlite").startswith("sqlite") and (order.storage or form == "slurm"):
            mistakes.append(
                f"--workers {order.workers}: {shared} no SQLite file. "
                f"Legal: --storage postgresql+psycopg://USER@HOST/DATABASE"
            )
        if not order.tracking or order.tracking.startswith("sqlite"):
            mistakes.append(
                f"--workers {order.workers}: {shared} no SQLite file. "
                f"Legal: --tracking-uri http://SERVER of MLflow"
            )
    if mistakes:
        raise BadRequest(*mistakes)


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=False,  # noqa: S701 - no page: each format is quoted by its own rules
        finalize=_inert,
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


def _inert(value: Any) -> Any:
    """Fails on text that has gone through no quoting: a template forgot it."""
    if not isinstance(value, quoting.Inert | int):
        raise TypeError(f"{value!r} reached a manifest unquoted")
    return value
