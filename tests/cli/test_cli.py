"""The command line as its users meet it: exit codes, messages, one JSON document."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from capsearch import spec

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def capsearch(*arguments: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    cache = os.environ.get("CAPSEARCH_TEST_CACHE", str(folder / "cache"))
    environment = os.environ | {"CAPSEARCH_CACHE": cache, "COLUMNS": "80"}
    for name in ("MLFLOW_TRACKING_URI", "CAPSEARCH_STORAGE", "CAPSEARCH_ROOT"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", "capsearch", *arguments],
        cwd=folder, env=environment | more, capture_output=True, text=True, check=False,
    )  # fmt: skip


COMMANDS = ["study", "new", "predict", "test", "report", "list", "ui", "data", "schedule", "probe"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_stands_in_the_readme(
    command: str, tmp_path: Path
) -> None:
    run = capsearch(command, "--help", folder=tmp_path)
    assert run.returncode == 0
    assert f"capsearch {command}" in run.stdout
    assert "Example:" in run.stdout
    assert f"capsearch {command}" in (ROOT / "README.md").read_text()


def test_the_exit_codes_are_documented_where_batch_jobs_look(tmp_path: Path) -> None:
    text = " ".join(capsearch("study", "--help", folder=tmp_path).stdout.split())
    for code in ("0 done", "1 the study failed", "2 bad request", "3 stopped early", "4 refused"):
        assert code in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study", "imbd"], "no study 'imbd'. Did you mean imdb"),
        (["study", "./none.toml"], "./none.toml: no such study file"),
        (["report", "imbd"], "no study 'imbd'"),
        (["data", "imbd"], "no study 'imbd'"),
        (["probe", "imbd"], "no study 'imbd'"),
        (["probe", "imdb", "--engine", "warp"], "no engine 'warp'. Legal: "),
        (["probe", "imdb", "--seeds", "0"], "Invalid value for '--seeds'"),
        (["study", "imdb", "--storage", "mongodb://x"], "not a database that capsearch knows"),
        (["study", "imdb", "--engine", "warp"], "no engine 'warp'. Legal: "),
        (["study", "imdb", "--threads", "-1"], "Invalid value for '--threads'"),
        (["study", "imdb", "--nonsense"], "No such option"),
        (["report", "rotten_tomatoes"], "was never run in"),
        (["test", "rotten_tomatoes"], "was never run in"),
        (["schedule", "imbd", "--format", "cron"], "no study 'imbd'"),
        (["schedule", "imdb"], "Missing option '--format'"),
        (["schedule", "imdb", "--format", "at"], "no format 'at'. Legal: cron, systemd, "),
        (["schedule", "imdb", "--format", "cron", "--at", "daily"], "has five fields: minute"),
    ],
)
def test_a_bad_request_ends_in_2_with_a_message_and_no_traceback(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    run = capsearch(*arguments, folder=tmp_path)
    assert run.returncode == 2, run.stderr
    assert message in " ".join(run.stderr.split())
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_every_mistake_of_a_study_file_is_one_line(tmp_path: Path) -> None:
    text = spec.shipped()["imdb"].read_text()
    (tmp_path / "bad.toml").write_text(
        text.replace('"imdb"', '"imbd"').replace("high = 0.6", "high = 1.6")
        .replace("trials = 96", "trails = 96")
    )  # fmt: skip
    run = capsearch("study", "bad", folder=tmp_path)
    assert run.returncode == 2
    lines = run.stderr.splitlines()
    mistakes = [line for line in lines if line.startswith("capsearch: bad.toml: ")]
    assert len(mistakes) == 3
    assert "data.source: no source 'imbd'. Did you mean imdb" in mistakes[0]
    assert "space.dropout: high (1.6) must be below 1.0" in mistakes[1]
    assert "search.trails: unknown key. Did you mean trials?" in mistakes[2]


def test_a_damaged_database_ends_in_5_and_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    damaged = tmp_path / "mlruns" / "studies.db"
    damaged.write_bytes(b"no database" * 999)
    run = capsearch("study", "rotten_tomatoes", folder=tmp_path)
    assert run.returncode == 5
    assert "studies.db: file is not a database" in " ".join(run.stderr.split())
    assert "Traceback" not in run.stderr
    assert damaged.read_bytes() == b"no database" * 999


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlruns").write_text("a file where the folder should be")
    run = capsearch("study", "rotten_tomatoes", folder=tmp_path)
    assert run.returncode == 2
    assert f"{tmp_path / 'mlruns'}: cannot be made or written" in " ".join(run.stderr.split())


def test_an_empty_folder_has_nothing_to_list_but_the_studies(tmp_path: Path) -> None:
    run = capsearch("list", folder=tmp_path)
    assert run.returncode == 0
    assert "imdb" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_data_shows_the_splits_and_what_they_share(tmp_path: Path) -> None:
    run = capsearch("data", "rotten_tomatoes", folder=tmp_path)
    assert run.returncode == 0
    assert "5,118" in run.stderr
    assert "No row appears in more than one split" in run.stderr


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert capsearch("--version", folder=tmp_path).stdout.startswith("capsearch 0.")


def test_a_manifest_runs_the_study_that_was_named(tmp_path: Path) -> None:
    shutil.copy(spec.shipped()["imdb"], tmp_path / "mine.toml")
    for name, study in (("imdb", "imdb"), ("mine", str(tmp_path / "mine.toml"))):
        run = capsearch("schedule", name, "--format", "airflow", folder=tmp_path)
        assert run.returncode == 0, run.stderr
        assert f"    {study!r},\n" in run.stdout
        assert f"    '--root={tmp_path / 'mlruns'}',\n" in run.stdout
        assert run.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_a_password_in_the_environment_does_not_reach_a_manifest(tmp_path: Path) -> None:
    run = capsearch(
        "schedule", "imdb", "--format", "cron", folder=tmp_path,
        CAPSEARCH_STORAGE="postgresql+psycopg://me:hunter2@db/x",
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stdout == ""
    assert "hunter2" not in run.stderr
    assert "put the password into ~/.pgpass" in " ".join(run.stderr.split())
