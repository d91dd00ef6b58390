"""A password is seen by nobody, and what strangers write stays where it belongs."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from capsearch.errors import BadRequest
from capsearch.session import check_name
from capsearch.tracking.mlflow import MlflowTracker
from tests.place import STUDY, Place, lasting
from tests.programs import require
from tests.samples import record_of
from tests.servers import Postgres, free_port

SECRET = "s3cret-Pa55/w%rd"
QUOTED = "s3cret-Pa55%2Fw%25rd"
PARTS = ("s3cret", "Pa55")  # whatever becomes of the rest


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A PostgreSQL server that asks for a password; its URL without it."""
    with Postgres(password=SECRET) as server:
        yield server.url


def with_password(url: str, password: str = QUOTED) -> str:
    return url.replace("capsearch@", f"capsearch:{password}@")


def silent(text: str) -> bool:
    return not any(part in text for part in PARTS)


class Onlooker(threading.Thread):
    """Reads the command line of every process of the machine, again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.commands, self.ended = set[str](), threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.02):
            for entry in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    self.commands.add((entry / "cmdline").read_bytes().decode(errors="replace"))

    def __enter__(self) -> set[str]:
        self.start()
        return self.commands

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


@pytest.mark.needs("strace")
def test_a_password_in_the_storages_address_is_seen_nowhere(
    place: Place, done: tuple[Place, dict[str, Any]], guarded: str, tmp_path_factory: Any
) -> None:
    """Not in what it prints, writes, starts or sends; the system calls are read, too."""
    strace = require("strace")
    trace = tmp_path_factory.mktemp("trace") / "calls"
    calls = "trace=execve,write,writev,sendto,sendmsg,pwrite64"
    watch = [strace, "-f", "--seccomp-bpf", "-qq", "-s", "4096", "-e", calls, "-o", str(trace)]
    command = [sys.executable, "-m", "capsearch", "study", "mine", "--workers", "2", "--json"]
    environment = place.environment() | {"CAPSEARCH_STORAGE": with_password(guarded)}
    with Onlooker() as commands:
        run = subprocess.run(
            [*watch, *command], cwd=place.folder, env=environment,
            capture_output=True, text=True, check=False, timeout=500,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert lasting(json.loads(run.stdout)) == lasting(done[1])
    assert silent(run.stdout + run.stderr)
    assert sum("capsearch.engines.child" in command for command in commands) >= 3
    assert silent("".join(commands))
    for file in place.folder.rglob("*"):  # MLflow's database and artifacts, reports, models
        if file.is_file():
            assert silent(file.read_bytes().decode("latin-1")), file
    traced = trace.read_bytes().decode("latin-1")
    assert "SCRAM-SHA-256" in traced
    assert silent(traced)

    listed = place.run("list", CAPSEARCH_STORAGE=with_password(guarded))
    assert (listed.code, silent(listed.out + listed.raw)) == (0, True)
    secrets = tmp_path_factory.mktemp("secrets") / "pgpass"
    escaped = SECRET.replace("\\", "\\\\").replace(":", "\\:")
    secrets.write_text(f"127.0.0.1:*:*:capsearch:{escaped}\n")
    secrets.chmod(0o600)
    again = place.run("study", "mine", "--json", "--storage", guarded, PGPASSFILE=str(secrets))
    assert again.code == 0, again.raw
    assert json.loads(again.out) == json.loads(run.stdout)
    assert silent(again.out + again.raw)


@pytest.mark.system
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("wrong", ["password", "server"])
def test_a_storage_that_lets_nobody_in_is_named_without_its_password(
    place: Place, guarded: str, wrong: str, form: str
) -> None:
    url = with_password(guarded, "s3cret%2FPa55")
    if wrong == "server":
        url = url.replace(url.rpartition(":")[2].partition("/")[0], str(free_port()))
    ended = place.run("study", "mine", "--log-format", form, CAPSEARCH_STORAGE=url)
    assert (ended.code, ended.out) == (5, ""), ended.raw
    assert "postgresql+psycopg://capsearch:***@127.0.0.1" in ended.err
    assert silent(ended.raw)
    assert "Traceback" not in ended.err
    for file in place.folder.rglob("*"):
        assert not file.is_file() or silent(file.read_bytes().decode("latin-1")), file


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("study", "--storage"),
        ("study", "--tracking-uri"),
        ("test", "--storage"),
        ("test", "--tracking-uri"),
        ("report", "--storage"),
        ("list", "--storage"),
        ("ui", "--tracking-uri"),
    ],
)
@pytest.mark.integration
def test_a_password_on_a_command_line_is_refused(place: Place, command: str, option: str) -> None:
    url = with_password("postgresql+psycopg://capsearch@127.0.0.1:1/postgres")
    name = [] if command in ("list", "ui") else ["mine"]
    ended = place.run(command, *name, option, url)
    assert (ended.code, ended.out) == (2, ""), ended.raw
    assert "password" in ended.err
    assert silent(ended.raw)


HOSTILE = ["../evil", "a b", "<img src=x>", ".hidden", "x" * 61, "", "a/b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_study_of_a_hostile_name_is_refused_wherever_the_name_comes_from(name: str) -> None:
    with pytest.raises(BadRequest, match="a study is named by its file"):
        check_name(name)


@pytest.mark.integration
@pytest.mark.parametrize("name", ["a b", "<img src=x>", ".hidden"])
def test_a_study_file_of_a_hostile_name_makes_nothing(place: Place, name: str) -> None:
    (place.folder / f"{name}.toml").write_text(STUDY)
    ended = place.run("study", f"./{name}.toml")
    assert ended.code == 2, ended.raw
    assert not (place.folder / "mlruns" / "reports").exists()


class Hostile(BaseHTTPRequestHandler):
    """An MLflow server that wants its files on the client's machine."""

    wanted = ""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        info = {
            "run_id": "../../r", "run_uuid": "../../r", "experiment_id": "../e",
            "artifact_uri": self.wanted, "status": "RUNNING", "lifecycle_stage": "active",
            "start_time": 1, "user_id": "<script>",
        }  # fmt: skip
        run = {"info": info, "data": {"tags": [{"key": "x", "value": "<script>"}]}, "inputs": {}}
        experiment = {
            "experiment_id": "../e", "name": "capsearch/imdb", "artifact_location": self.wanted,
            "lifecycle_stage": "active",
        }  # fmt: skip
        answer = {"experiment": experiment, "run": run, "runs": [run], "run_info": info}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.integration
@pytest.mark.parametrize("form", ["file://{}", "{}"])
def test_an_mlflow_server_cannot_have_files_written_on_this_machine(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    monkeypatch.setattr(Hostile, "wanted", form.format(outside))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told: list[str] = []
    try:
        uri = f"http://127.0.0.1:{server.server_port}"
        tracker = MlflowTracker(uri, tmp_path / "root", told.append)
        tracker.begin(record_of().study)
        tracker.log(record_of().trials[0])
        tracker.close()
    finally:
        server.shutdown()
        server.server_close()
    assert not outside.exists()
    assert list(tmp_path.iterdir()) == []
    (warning,) = told
    assert "which would be on this machine" in warning


MARKUP = "<script>alert(1)</script>[bold]=cmd()"
TABLE = f"""
[data]
source = "csv"
path = "rows.csv"
target = '{MARKUP}'
null = {{ '{MARKUP} //../x' = "?" }}
[space]
layers = {{ low = 0, high = 1 }}
units = {{ low = 1, high = 4 }}
[training]
epochs = 2
batch_size = 32
[search]
trials = 4
rungs = 2
[select]
replicates = 2
"""


@pytest.mark.integration
def test_hostile_names_and_labels_are_text_wherever_they_are_shown(place: Place) -> None:
    rows = [f"{i / 7:.3f},{'=cmd()' if i % 3 else '<b>x'},{MARKUP if i % 2 else '@SUM(1)'}"
            for i in range(300)]  # fmt: skip
    head = f"{MARKUP} //../x,+b,{MARKUP}"
    (place.folder / "rows.csv").write_text("\n".join([head, *rows]))
    (place.folder / "hostile.toml").write_text(TABLE)
    shown = place.run("data", "hostile")
    assert shown.code == 0
    assert MARKUP[:20] in shown.err.replace(" ", "")
    ended = place.run("study", "hostile", "--json", seconds=300)
    assert ended.code == 0, ended.raw
    assert "\x1b" not in ended.raw + shown.raw
    document = json.loads(ended.out)
    page = Path(document["report"]).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert document["tracking"]["run_id"]
    assert place.rows("mlflow.db", "SELECT count(*) FROM runs WHERE status = 'RUNNING'") == [(0,)]
    keys = place.rows("mlflow.db", "SELECT key FROM params WHERE key LIKE 'data.null%'")
    assert [key for (key,) in keys] == ["data.null._script_alert_1___script__bold__cmd__ __.._x"]
