"""The rules of the house, as tests."""

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from capsearch.data.source import SearchData

PACKAGE = Path(__file__).parents[1] / "capsearch"
MODULES = sorted(PACKAGE.rglob("*.py"))
SLOW = ("tensorflow", "keras", "mlflow", "optuna", "pandas", "sklearn", "matplotlib", "numba")


def takes(path: Path, name: str) -> bool:
    """Whether a module takes `name` from an object, to call it or to hand it on."""
    tree = ast.walk(ast.parse(path.read_text()))
    return any(isinstance(node, ast.Attribute) and node.attr == name for node in tree)


def imported(path: Path) -> set[str]:
    """The top-level names of all that a module imports, in functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_imports_go_down_only_and_libraries_stay_in_their_homes() -> None:
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=PACKAGE.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout


def test_test_rows_are_asked_for_by_the_seal_alone() -> None:
    for name in ("sealed_rows", "read_sealed"):
        assert [p.name for p in MODULES if takes(p, name)] == ["seal.py"]


def test_what_a_search_sees_has_no_place_for_test_rows() -> None:
    assert not [f.name for f in dataclasses.fields(SearchData) if "test" in f.name]


def test_selection_is_pure() -> None:
    """Numbers in, a choice out: it knows no engine, store or clock."""
    used = {name for path in MODULES if path.parent.name == "selection" for name in imported(path)}
    assert used - set(sys.stdlib_module_names) == {"capsearch", "kneed", "numpy", "scipy"}
    assert not used & {"time", "datetime", "os", "pathlib", "random", "subprocess"}


def test_no_pickle_is_ever_loaded() -> None:
    for path in MODULES:
        text = path.read_text()
        assert not imported(path) & {"pickle", "cloudpickle", "dill", "joblib", "shelve"}, path
        assert "allow_pickle=True" not in text, path
        assert "safe_mode=False" not in text, path


def test_every_module_says_what_it_is_for() -> None:
    assert [p for p in MODULES if not ast.get_docstring(ast.parse(p.read_text()))] == []
    assert not list(PACKAGE.rglob("utils.py"))


def test_modules_stay_small_enough_to_read() -> None:
    long = {p.name for p in MODULES if len(p.read_text().splitlines()) > 300}
    assert long == {"kernels.py", "dense.py"}  # a network's epoch, each read from top to bottom


@pytest.mark.parametrize("arguments", [["--help"], ["study", "--help"], ["study"], ["--nonsense"]])
def test_help_and_usage_errors_need_no_slow_library(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['capsearch', *{arguments!r}]\n"
        "from capsearch.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"loaded = [name for name in {SLOW!r} if name in sys.modules]\n"
        "print(); print('loaded:', loaded)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "loaded: []"


def test_the_reader_of_raw_rows_stands_alone() -> None:
    """It is copied beside kept models, where neither capsearch nor pandas is installed."""
    used = imported(PACKAGE / "data" / "preparation" / "transform.py")
    assert used - set(sys.stdlib_module_names) == {"numpy", "scipy"}
    used = imported(PACKAGE / "kept" / "reader.py")
    assert used - set(sys.stdlib_module_names) == {"numpy", "scipy", "keras"}
    used = imported(PACKAGE / "tracking" / "served.py")
    assert used - set(sys.stdlib_module_names) == {"pandas", "mlflow"}
