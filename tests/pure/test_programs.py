"""A program that is not here skips its tests with a loud list, and fails them in CI."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("ci", "outcome"), [("false", "skipped"), ("true", "errors")])
def test_a_missing_program(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: str
) -> None:
    """As the whole run is configured: its conftest, in a folder of one test."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", str(pytester.path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest("from tests.conftest import *")
    pytester.makeini("[pytest]\nmarkers =\n  needs\n  system\n  unit\n  integration\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.needs("strace")
        def test_it():
            pass
        """
    )
    ended = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    ended.assert_outcomes(**{outcome: 1})
    if ci == "false":
        ended.stdout.fnmatch_lines(["*NOT TESTED*", "strace (*): 1 tests skipped"])
    else:
        assert ended.ret == 1
        ended.stdout.fnmatch_lines(["*missing program: strace (Debian package strace)*"])
