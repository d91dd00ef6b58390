"""Units that systemd itself finds sound."""

import os
import subprocess
from pathlib import Path

import pytest

from capsearch.schedule import Times, render
from tests.schedule.readers import HOSTILE, READERS, request_of, unit, units


def verified(folder: Path, scope: str, log: str = "info") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "verify", scope, "--man=no", *sorted(folder.glob("capsearch-*"))],
        env={"XDG_RUNTIME_DIR": str(folder), "PATH": "/usr/bin:/bin", "HOME": str(folder),
             "SYSTEMD_LOG_LEVEL": log},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def cut(text: str, folder: Path) -> None:
    """As the header of the manifest says."""
    (folder / "manifest").write_text(text)
    subprocess.run(
        ["awk", "/^# file: /{file=$3} file{print >file}", "manifest"], cwd=folder, check=True
    )


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("scope", ["--user", "--system"])
@pytest.mark.parametrize("study", ["imdb", "/" + "".join(HOSTILE)])
def test_both_units_are_sound(scope: str, study: str, tmp_path: Path) -> None:
    program = tmp_path / "cap search%h$x"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    request = request_of(study=study, program=str(program), at=Times.of("30 2 1,15 * mon"))
    text = render("systemd", request)
    assert "awk '/^# file: /{file=$3} file{print >file}' THIS_FILE" in text
    cut(text, tmp_path)
    names = {path.name for path in tmp_path.glob("capsearch-*")}
    assert names == {"capsearch-imdb.service", "capsearch-imdb.timer"} == set(units(text))
    run = verified(tmp_path, scope)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.needs("systemd-analyze")
def test_systemd_reads_the_words_that_were_meant(tmp_path: Path) -> None:
    program = tmp_path / "cap search%h$x"
    program.touch(0o755)
    request = request_of(study="/" + "".join(HOSTILE), program=str(program))
    text = render("systemd", request)
    cut(text, tmp_path)
    told = verified(tmp_path, "--system", log="debug").stdout
    line = told.partition("Command Line: ")[2].partition("\n")[0]  # quoted for a shell
    run = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True
    )
    first, *words = run.stdout.split("\0")[:-1]
    assert [first, *(word.replace("$$", "$") for word in words)] == READERS["systemd"](text)
    assert words[1].replace("$$", "$") == request.study


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("RestartSec=5min", "RestartSec=soon"),
        ("KillMode=mixed", "KillModes=mixed"),
        ("Restart=on-failure", "Restart=always"),
        ("/bin/true", "/bin/none"),
    ],
)
def test_the_check_would_notice(right: str, wrong: str, tmp_path: Path) -> None:
    cut(render("systemd", request_of(program="/bin/true")).replace(right, wrong), tmp_path)
    run = verified(tmp_path, "--system")
    assert run.returncode != 0 or run.stderr


def test_the_exit_codes_of_capsearch_mean_what_they_say_to_systemd() -> None:
    request = request_of(at=Times.of("*/15 * * * *"), deadline="45m", workers=3)
    service = unit(units(render("systemd", request))["capsearch-imdb.service"])
    assert service["Service"]["SuccessExitStatus"] == "3 130 143"
    assert service["Service"]["RestartPreventExitStatus"] == "1 2 4"
    assert service["Service"]["Restart"] == "on-failure"
    assert service["Service"]["TimeoutStartSec"] == "3600s"  # a quarter of an hour past 45m
    assert (
        service["Service"]["MemoryMax"] == "7680M"
    )  # 1 driver, 3 training, 1 scoring the test split
    assert service["Unit"]["StartLimitBurst"] == "18"  # 12 starts in 3 h, and 6 tries


def test_no_one_but_its_user_reads_the_stores() -> None:
    service = unit(units(render("systemd", request_of()))["capsearch-imdb.service"])["Service"]
    assert service["UMask"] == "0077"
    assert service["NoNewPrivileges"] == "yes"
    assert service["EnvironmentFile"] == f"-%E{os.sep}capsearch-imdb.env"
