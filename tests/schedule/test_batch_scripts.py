"""Slurm's script and cron's line, run for real with a stand-in for capsearch and for Slurm."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from capsearch.errors import BadRequest
from capsearch.schedule import render
from tests.schedule.readers import HOSTILE, READERS, cron_command, request_of

POSTGRES = "postgresql+psycopg://capsearch@db/capsearch"
STAND_IN = f"""#!{sys.executable}
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print("saved"), sys.exit(143)))
json.dump(sys.argv[1:], open(os.environ["SAID"], "w"))
print("a result"); print("a message", file=sys.stderr, flush=True)
time.sleep(float(os.environ.get("TAKES", "0")))
sys.exit(int(os.environ.get("CODE", "0")))
"""
SCONTROL = '#!/bin/sh\necho "$@" >>"$REQUEUED"\n'
BATCH = {"SLURM_JOB_ID": "9"}


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    executable(tmp_path / "bin" / "scontrol", SCONTROL)
    return executable(tmp_path / "bin" / "cap search%\\'\"$x", STAND_IN)


def surroundings(tmp_path: Path, **more: str) -> Mapping[str, str]:
    return more | {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "SAID": str(tmp_path / "said"),
        "REQUEUED": str(tmp_path / "requeued"),
    }  # fmt: skip


def said(tmp_path: Path) -> list[str]:
    words: list[str] = json.loads((tmp_path / "said").read_text())
    return words


def requeued(tmp_path: Path) -> list[str]:
    path = tmp_path / "requeued"
    return path.read_text().splitlines() if path.exists() else []


def script(tmp_path: Path, stand_in: Path, workers: int = 1, study: str = "imdb") -> Path:
    request = request_of(
        program=str(stand_in), workers=workers, study=study, storage=POSTGRES,
        tracking="http://mlflow", deadline="45m",
    )  # fmt: skip
    path = tmp_path / "study.sbatch"
    path.write_text(render("slurm", request))
    return path


@pytest.mark.parametrize(
    ("code", "restarts", "back"),
    [
        (0, 0, False), (1, 0, False), (2, 0, False), (4, 0, False), (130, 0, False),
        (3, 0, True), (5, 5, True), (143, 0, True), (3, 6, False), (5, 99, False),
    ],
)  # fmt: skip
def test_a_job_goes_back_into_the_queue_when_later_may_help_but_not_for_ever(
    code: int, restarts: int, back: bool, tmp_path: Path, stand_in: Path
) -> None:
    more = BATCH | {"CODE": str(code), "SLURM_RESTART_COUNT": str(restarts)}
    run = subprocess.run(
        ["bash", script(tmp_path, stand_in)], env=surroundings(tmp_path, **more),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == code
    assert requeued(tmp_path) == (["requeue 9"] if back else [])
    assert run.stdout == "a result\n"
    assert "a message" in run.stderr


def test_four_training_processes_ask_slurm_for_their_cores_and_memory(
    tmp_path: Path, stand_in: Path
) -> None:
    directives = re.findall(
        r"^#SBATCH --([a-z-]+)=(.*)$", script(tmp_path, stand_in, workers=4).read_text(), re.M
    )
    asked = dict(directives)
    assert (asked["nodes"], asked["ntasks"], asked["cpus-per-task"]) == ("1", "1", "8")
    assert asked["mem"] == f"{(4 + 2) * 1536}M"
    assert "array" not in asked


def test_a_notice_before_the_end_reaches_capsearch_and_its_state_is_saved(
    tmp_path: Path, stand_in: Path
) -> None:
    batch = subprocess.Popen(
        ["bash", script(tmp_path, stand_in)], stdout=subprocess.PIPE, text=True,
        env=surroundings(tmp_path, TAKES="30", **BATCH), start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 20
    while not (tmp_path / "said").exists() or not (tmp_path / "said").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(batch.pid, signal.SIGTERM)  # the script alone, as --signal=B: does
    out, _ = batch.communicate(timeout=20)
    assert batch.returncode == 143
    assert out == "a result\nsaved\n"
    assert requeued(tmp_path) == ["requeue 9"]


@pytest.mark.needs("shellcheck", "sbatch")
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("study", ["imdb", "/" + "".join(HOSTILE)])
def test_the_script_is_sound_to_bash_shellcheck_and_sbatch(
    workers: int, study: str, tmp_path: Path, stand_in: Path
) -> None:
    program = stand_in if study != "imdb" else Path("/opt/capsearch/bin/capsearch")
    path = script(tmp_path, program, workers, study)
    subprocess.run(["bash", "-n", path], check=True)
    # In hostile words, shellcheck's mere hints suspect quotes that were forgotten.
    level = "style" if study == "imdb" else "warning"
    found = subprocess.run(
        ["shellcheck", f"--severity={level}", path], capture_output=True, text=True, check=False,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert found.stdout == ""
    assert "Unable to contact slurm controller" in sbatch(path)


@pytest.mark.needs("sbatch")
def test_sbatch_itself_refuses_directives_that_do_not_exist(tmp_path: Path, stand_in: Path) -> None:
    path = script(tmp_path, stand_in)
    text = path.read_text()
    path.write_text(text.replace("#SBATCH --requeue", "#SBATCH --requeued"))
    assert "unrecognized option '--requeued'" in sbatch(path)
    path.write_text(text.replace("B:TERM@120", "B:NEVER@x"))
    assert "Invalid --signal specification" in sbatch(path)


def sbatch(path: Path) -> str:
    """What sbatch says: it reads every directive before it looks for a controller, in vain."""
    settings = path.with_name("slurm.conf")
    settings.write_text(
        "ClusterName=none\nSlurmctldHost=localhost\nSlurmctldPort=1\nMessageTimeout=2\n"
    )
    run = subprocess.run(
        ["sbatch", "--test-only", path], env={"SLURM_CONF": str(settings), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode != 0
    return run.stderr


@pytest.mark.parametrize("pairs", [True, False])
def test_cron_hands_the_shell_the_words_that_were_meant(
    pairs: bool, tmp_path: Path, stand_in: Path
) -> None:
    root, study = tmp_path / "%m \\% $(touch x)'", "/" + "".join(HOSTILE)
    text = render("cron", request_of(program=str(stand_in), study=study, root=str(root)))
    command = cron_command(text.rstrip("\n").split("\n")[-1], pairs)
    run = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=surroundings(tmp_path), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert run.stdout + run.stderr == ""
    assert said(tmp_path)[:3] == ["study", study, "--json"]
    assert said(tmp_path)[-1] == f"--root={root}"
    assert (root / "capsearch-imdb.json").read_text() == "a result\n"
    assert (root / "capsearch-imdb.log").read_text() == "a message\n"
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "said", root.name}


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 130, 143])
def test_cron_mails_what_a_person_must_see(code: int, tmp_path: Path, stand_in: Path) -> None:
    text = render("cron", request_of(program=str(stand_in), root=str(tmp_path / "runs")))
    command = cron_command(text.rstrip("\n").split("\n")[-1], pairs=True)
    mail = subprocess.run(
        ["sh", "-c", command], env=surroundings(tmp_path, CODE=str(code)), capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip
    told = f"capsearch-imdb ended with exit code {code}:\na message\n"
    assert mail == (told if code in (1, 2, 4, 5) else "")


@pytest.mark.needs("crontab")
@pytest.mark.parametrize("study", ["imdb", "/" + "".join(HOSTILE)])
def test_a_crontab_is_sound_to_cron_itself(study: str, tmp_path: Path) -> None:
    text = render("cron", request_of(study=study))
    assert crontab(tmp_path, text) == 0
    assert crontab(tmp_path, text.replace("\n0 2 * * * ", "\n0 2 * * 8 ")) != 0
    assert READERS["cron"](text)[1:3] == ["study", study]


def test_a_command_that_cron_would_cut_is_refused() -> None:
    with pytest.raises(BadRequest, match="longer than the 998 bytes that cron reads"):
        render("cron", request_of(root="/" + "x" * 300))


def crontab(tmp_path: Path, text: str) -> int:
    """Debian's dry run; any other crontab might install the file, so it is not asked."""
    usage = subprocess.run(["crontab", "-h"], capture_output=True, text=True, check=False).stderr
    assert re.search(r"-n\s*\(dry run", usage), "the tests need the Debian package cron"
    path = tmp_path / "crontab"
    path.write_text(text)
    return subprocess.run(["crontab", "-n", path], capture_output=True, check=False).returncode
