"""The report says what the record says, needs nothing else, and trusts no name."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from capsearch.records import Tracking
from capsearch.report.checks import warnings_of
from capsearch.report.overfit import in_words, overfitting
from capsearch.report.page import draw, render, write
from tests.samples import record_of

RECORD = record_of()
PLACE = Tracking("sqlite:///mlruns/mlflow.db", "1", "abc123", "capsearch-imdb/1")


def text_of(html: str) -> str:
    """The words a reader sees, figures left out."""
    bare = re.sub(r"<(svg|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).split())


@pytest.fixture(scope="module")
def page() -> str:
    return render(RECORD, PLACE, draw(RECORD))


def test_the_choice_its_reason_and_the_score_stand_at_the_top(page: str) -> None:
    words, chosen = text_of(page), RECORD.choice.selected
    head = words[: words.index("How small can it be?")]
    assert f"{chosen.parameters:,} parameters" in head
    assert f"{chosen.mean:.4f} ± {chosen.se:.4f}" in head
    assert "88.64 %" in head
    assert "87.70 to 89.50 %" in head
    assert "opened once by this study, on 2026-01-02 03:04 UTC" in head
    assert page.count("88.64 %") == 1


def test_every_finalist_baseline_and_rule_has_its_row(page: str) -> None:
    words = text_of(page)
    for e in RECORD.estimates:
        assert f"{e.candidate.label} {e.parameters:,} {e.mean:.4f} ± {e.se:.4f}" in words
    for name in ("original", "smaller", "dropout", "L1 and L2"):
        assert f"{name} " in words
    for rule in ("one_std_err", "pct_loss", "best"):
        assert rule in words
    assert "1 × diverged: loss became NaN or infinite" in words


def test_the_same_record_gives_the_same_bytes(page: str) -> None:
    assert render(RECORD, PLACE, draw(RECORD)) == page


def test_it_needs_nothing_but_itself(page: str) -> None:
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)""", page)
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    assert len(page) < 1_500_000


def test_no_id_is_given_twice(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_hostile_name_stays_text() -> None:
    evil = "<script>alert(1)</script>$x^2$\"'&"
    trials = tuple(replace(t, name=evil) for t in RECORD.trials)
    study = replace(RECORD.study, name=evil, question={"a": evil, "baseline": []})
    hostile = replace(RECORD, study=study, trials=trials, warnings=(evil,))
    page = render(hostile, replace(PLACE, uri=evil), draw(hostile))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_what_a_hostile_tracking_server_answers_stays_text() -> None:
    evil = "'\"><script>alert(1)</script><img src=x onerror=alert(1)>"
    place = Tracking(f"http://{evil}", evil, evil, evil)
    page = render(RECORD, place, draw(RECORD))
    assert "<script" not in page
    assert "<img" not in page


def test_a_study_without_baselines_compares_the_best_with_the_selected() -> None:
    record = record_of(baselines=False)
    words = text_of(render(record, None, draw(record)))
    assert "Crosses: best. Dots: selected." in words


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    first = write(RECORD, tmp_path, None)
    second = write(RECORD, tmp_path, PLACE)
    assert first == second
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "capacity_curve.svg", "overfitting.svg", "report.html", "selected_seeds.svg",
    ]  # fmt: skip
    assert "abc123" in second.page.read_text()


def test_overfitting_is_read_off_a_curve_by_hand() -> None:
    trial = RECORD.trials[0]
    assert trial.outcome is not None
    curve = trial.outcome.curve
    found, turn = overfitting(trial), trial.outcome.best_epoch
    assert found is not None
    assert found.epoch == turn
    assert found.rise == pytest.approx((curve.val_loss[-1] - curve.val_loss[turn - 1]) / 4)
    assert found.gap == pytest.approx(curve.val_loss[turn - 1] - curve.loss[turn - 1])
    assert f"starts to overfit after epoch {turn}" in in_words("original", trial)


def test_a_failed_network_is_said_to_have_failed() -> None:
    failed = next(t for t in RECORD.trials if t.outcome and not t.outcome.complete)
    assert overfitting(failed) is None
    assert in_words("smaller", failed) == "The smaller network could not be trained."


def test_doubts_are_named() -> None:
    said = "\n".join(RECORD.warnings)
    assert "trials failed: the space reaches into settings that diverge" in said
    study = replace(
        RECORD.study, data=replace(RECORD.study.data, duplicates={"train/test": 3, "a/b": 0})
    )
    more = warnings_of(study, RECORD.trials[:4], RECORD.replicates, RECORD.choice)
    assert "rows that stand in two splits: 3 in train/test" in more
    assert any(line.startswith("no completed trial with this many parameters") for line in more)


@pytest.mark.real
def test_a_browser_shows_the_page_without_a_complaint(tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    assert browser, "Chromium is not installed (Debian package chromium)"
    page = write(RECORD, tmp_path, PLACE).page
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    run = subprocess.run(
        [browser, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert f"{RECORD.choice.selected.parameters:,} parameters</h1>" in " ".join(run.stdout.split())
    assert run.stdout.count("<svg") == 3
    assert "CONSOLE" not in run.stderr
