"""What lies beside a study, and a user without a home, end no command in a traceback."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from capsearch import spec
from capsearch.data.cache import default_root
from capsearch.errors import BadRequest

pytestmark = pytest.mark.integration

STUDY = spec.shipped()["imdb"].read_text()
HOMELESS = """
import pwd, runpy
def unknown(user): raise KeyError("uid not found")
pwd.getpwuid = unknown
runpy.run_module("capsearch", run_name="__main__")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything beside a study that is none."""
    for here in (tmp_path, tmp_path / "studies"):
        here.mkdir(exist_ok=True)
        (here / ".#mine.toml").symlink_to("nobody@nowhere")
        (here / "x.toml").mkdir()
        (here / "secret.toml").write_text(STUDY)
        (here / "secret.toml").chmod(0o000)
    return tmp_path


def obey_permissions() -> None:
    """Before a command begins: take from root, if that is who we are, what opens every file."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def capsearch(*arguments: str, folder: Path, code: tuple[str, ...] = ("-m", "capsearch")) -> str:
    """The exit code of a command and what it said, which is no traceback."""
    named = ("HOME", "XDG_CACHE_HOME", "CAPSEARCH_CACHE", "CAPSEARCH_ROOT", "CAPSEARCH_STORAGE")
    bare = {name: value for name, value in os.environ.items() if name not in named}
    run = subprocess.run(
        [sys.executable, *code, *arguments], preexec_fn=obey_permissions,
        cwd=folder, env=bare | {"COLUMNS": "200"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in run.stderr
    return f"{run.returncode} {' '.join(run.stderr.split())}"


def test_bystanders_break_no_command(folder: Path) -> None:
    listed = capsearch("list", folder=folder)
    assert listed.startswith("0 ")
    assert all(name in listed for name in spec.shipped())
    assert "secret" not in listed
    for command in ("study", "report", "data"):
        said = capsearch(command, "imbd", folder=folder)
        assert said.startswith("2 "), command
        assert "Did you mean imdb" in said, command
    assert capsearch("schedule", "imdb", "--format", "cron", folder=folder).startswith("0 ")


def test_a_study_that_may_not_be_read_is_named_with_the_reason(folder: Path) -> None:
    said = capsearch("data", "secret", folder=folder)
    assert said.startswith("2 ")
    assert "secret.toml: cannot be read" in said
    assert "Permission denied" in said


def test_a_user_without_a_home_is_told_to_name_a_cache(folder: Path) -> None:
    said = capsearch("data", "imdb", folder=folder, code=("-c", HOMELESS))
    assert said.startswith("2 ")
    assert all(fact in said for fact in ("no home folder", "--cache", "CAPSEARCH_CACHE"))


def test_no_home_is_a_bad_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown(_: int) -> object:
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "CAPSEARCH_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(BadRequest, match="--cache or CAPSEARCH_CACHE"):
        default_root()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "capsearch"


def test_all_mistakes_of_a_file_with_a_mark_are_told_at_once(folder: Path) -> None:
    text = STUDY.replace("high = 3 }", "high = 3, off = true }").replace("high = 0.6", "high = 1.6")
    (folder / "bad.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    said = capsearch("study", "bad", folder=folder)
    assert said.startswith("2 ")
    assert "bad.toml: space.layers.off: unknown key. Known: low, high, log" in said
    assert "bad.toml: space.dropout: high (1.6)" in said
