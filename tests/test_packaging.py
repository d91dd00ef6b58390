"""What is shipped is whole, pinned, and names no place of its makers."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "pyproject.toml", "capsearch", "studies", "tests", "mlruns", "Dockerfile", "README.md",
    "CHANGELOG.md", "LICENSE", "Makefile",
}  # fmt: skip


def tracked() -> list[Path]:
    run = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in run.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("capsearch", "studies"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q",
         "-w", str(target), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    return zipfile.ZipFile(next(target.glob("*.whl")))


@pytest.mark.integration
def test_the_wheel_holds_every_module_study_and_template(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    ours = [p for p in tracked() if p.is_relative_to(ROOT / "capsearch")]
    assert {str(p.relative_to(ROOT)) for p in ours} <= names
    assert {f"capsearch/studies/{p.name}" for p in (ROOT / "studies").glob("*.toml")} <= names


@pytest.mark.integration
def test_the_wheel_names_its_command_and_its_sources(wheel: zipfile.ZipFile) -> None:
    entry = next(n for n in wheel.namelist() if n.endswith("entry_points.txt"))
    text = wheel.read(entry).decode()
    for line in ("capsearch = capsearch.cli:main", "[capsearch.data]", "imdb = "):
        assert line in text


def test_every_library_is_pinned_with_hashes_and_without_an_address() -> None:
    for path in sorted((ROOT / ".requirements").glob("*.txt")):
        text = path.read_text()
        assert "://" not in text, path
        pins = re.split(r"\n(?=\S)", text.strip())
        assert len(pins) > 5
        for pin in pins:
            assert "==" in pin.splitlines()[0], pin[:80]
            assert "--hash=sha256:" in pin, pin[:80]


def test_the_top_level_holds_what_belongs_there() -> None:
    names = {p.relative_to(ROOT).parts[0] for p in tracked()}
    assert {name for name in names if not name.startswith(".")} <= ALLOWED


def test_no_file_names_a_registry_or_its_makers_machine() -> None:
    hosts = ["py" + "pi.org", "python" + "hosted", "registry." + "npm", "deb." + "debian.org"]
    places = ["/" + "root/", "/" + "work/", "/" + "home/"]
    for path in tracked():
        text = path.read_text(errors="ignore").lower()
        assert [word for word in hosts + places if word in text] == [], path


def test_the_image_runs_the_command_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["capsearch"]' in lines
    assert lines.index("USER capsearch") > max(
        n for n, line in enumerate(lines) if line.startswith(("FROM", "RUN"))
    )
    assert "WORKDIR /data" in lines
    assert "VOLUME /data" in lines
    copied = [line.split()[1:-1] for line in lines if re.match(r"COPY (?!--from)", line)]
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists(), name
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    for name in (name for names in copied for name in names):
        assert f"!{name.removeprefix('./').split('/')[0]}" in ignore, name


def test_the_readme_opens_with_one_sentence_and_one_command() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make study" in text.split("```")[1]
    assert "make test" in text
    assert "make test" in (ROOT / ".ci" / "run").read_text()
