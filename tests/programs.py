"""Programs of the system that some tests need: skipped without them, but failed in CI.

A test says `@pytest.mark.needs("strace")`, which puts it into the group `system`.
"""

import os
import shutil

import pytest

MISSING = "missing program:"
PACKAGES = {  # of Debian, as `make system` installs them
    "chromium": "chromium",
    "crontab": "cron",
    "initdb": "postgresql",
    "sbatch": "slurm-client",
    "shellcheck": "shellcheck",
    "strace": "strace",
    "systemd-analyze": "systemd",
}


def require(program: str) -> str:
    """The path of a program; without it the test is skipped, and fails when CI=true."""
    found = shutil.which(program)
    return found or missing(program)


def missing(program: str) -> str:
    """Skip this test, or fail it in CI."""
    text = f"{MISSING} {program} (Debian package {PACKAGES[program]})"
    if os.environ.get("CI") == "true" or "PYTEST_VERSION" not in os.environ:
        raise AssertionError(text)
    pytest.skip(text)
