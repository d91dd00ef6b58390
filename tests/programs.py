"""Programs of the system that some tests need: skipped without them, but failed in CI."""

import os
import shutil

import pytest

MISSING = "missing program:"


def require(program: str, package: str) -> str:
    """The path of a program; without it the test is skipped, and fails when CI=true."""
    found = shutil.which(program)
    return found or missing(program, package)


def missing(program: str, package: str) -> str:
    """Skip this test, or fail it in CI."""
    text = f"{MISSING} {program} (Debian package {package})"
    if os.environ.get("CI") == "true" or "PYTEST_CURRENT_TEST" not in os.environ:
        raise AssertionError(text)
    pytest.skip(text)
