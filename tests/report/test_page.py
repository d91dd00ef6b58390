"""The report says what the record says, needs nothing else, and trusts no name."""

import re
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any, get_args

import pytest

from capsearch.records import Check, Outcome, Proof, RungEvidence, Standing, StudyRecord, Tracking
from capsearch.report.checks import with_checks
from capsearch.report.document import document
from capsearch.report.page import draw, render, write
from capsearch.selection import Settings, estimate
from capsearch.words import described, network
from tests.programs import require
from tests.samples import decision_of, record_of

pytestmark = pytest.mark.integration  # figures take their time
RECORD = record_of()
PLACE = Tracking("sqlite:///mlruns/mlflow.db", "1", "abc123", "capsearch-imdb/1")


def text_of(html: str) -> str:
    """The words a reader sees, figures left out."""
    bare = re.sub(r"<(svg|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", bare).split()))


def decided(record: StudyRecord, **fields: Any) -> StudyRecord:
    return replace(record, decision=replace(record.decision, **fields))


def words_of(record: StudyRecord) -> str:
    return text_of(render(record, None, draw(record)))


@pytest.fixture(scope="module")
def page() -> str:
    return render(RECORD, PLACE, draw(RECORD))


def test_the_choice_its_reason_and_the_score_stand_at_the_top(page: str) -> None:
    words, chosen = text_of(page), RECORD.choice.selected
    head = words[: words.index("How small can it be?")]
    assert f"{chosen.parameters:,} parameters" in head
    assert f"{chosen.mean:.4f} ± {chosen.se:.4f}" in head
    assert "88.64%" in head
    assert "87.70% to 89.50%" in head
    assert "opened once by this study, on 2026-01-02 03:04 UTC" in head
    assert page.count("88.64%") == 1


def test_every_finalist_baseline_and_rule_has_its_row(page: str) -> None:
    words = text_of(page)
    for e in RECORD.estimates:
        known = {"selected": RECORD.choice.selected, "best": RECORD.choice.best}
        marks = ", ".join(name for name, one in known.items() if one == e)
        name = f"{network(e.candidate.units)} {marks}".strip()
        assert f"{name} {e.parameters:,} {e.mean:.4f} ± {e.se:.4f}" in words
    for name in ("original", "smaller", "dropout", "L1 and L2"):
        assert f"{name} " in words
    for rule in ("one_std_err", "pct_loss", "best"):
        assert rule in words
    assert "1 x diverged: loss became NaN or infinite" in words


def test_a_setting_that_all_networks_share_is_said_once_and_is_no_column(page: str) -> None:
    assert "The same for all of them" not in page
    shared = words_of(record_of(said=("training.batch_size=16",)))
    assert "The same for all of them and for the baselines: batch size 16." in shared
    assert "Batch size" not in shared


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
    question = {"a": evil, "baseline": [], "select": RECORD.study.question["select"]}
    study = replace(RECORD.study, name=evil, engine=evil, question=question)
    hostile = replace(RECORD, study=study, trials=trials, checks=(Check("CS999", "warning", evil),))
    hostile = decided(replace(hostile, cut=evil), versions={evil: evil})
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
    assert "Crosses: best. Dots: selected." in words_of(record)


def test_a_test_split_that_is_still_sealed_is_said_to_be_and_how_it_is_opened(page: str) -> None:
    held = with_checks(replace(RECORD, test=None))
    words = words_of(held)
    assert "still sealed" in words
    assert "still sealed" not in text_of(page)
    assert "capsearch test imdb" in words
    assert "opened once" not in words
    assert document(held, None, Path("r.html"))["test"] is None


def test_how_it_was_made_names_the_engine_the_versions_and_the_time_of_the_decision(
    page: str,
) -> None:
    words = text_of(page)
    made = words[words.index("How it was made") :]
    for fact in (RECORD.study.engine, "2026-01-02 03:04 UTC", "keras 3.15.1", RECORD.study.key):
        assert fact in made
    assert "abc123" in made


def test_the_difference_to_keras_stands_among_the_checks(page: str) -> None:
    assert "CS018 ok" in text_of(page)
    assert "1.5e-06" in text_of(page)
    other = with_checks(decided(RECORD, proof=Proof(0.02, 2000)))
    assert "CS018 warning" in words_of(other)


def test_a_search_that_was_cut_is_said_at_the_top() -> None:
    words = words_of(replace(RECORD, cut="the search ended early"))
    assert "The search ended early" in words[: words.index("How small can it be?")]


def test_a_study_all_of_whose_search_trials_failed_still_has_its_report() -> None:
    failed = Outcome.failed("timeout")
    trials = [t.ended(failed) if t.group == "search" else t for t in RECORD.trials]
    left = {t.candidate for t in trials if t.outcome and t.outcome.complete}
    replicates = [t for t in RECORD.replicates if t.candidate in left]
    decision = decision_of(trials, replicates, Settings())
    record = replace(RECORD, trials=tuple(trials), replicates=tuple(replicates), decision=decision)
    assert "x timed out" in words_of(with_checks(record))


@pytest.mark.parametrize("rule", sorted(RECORD.verdicts))
def test_every_rule_gives_a_report_that_names_its_network(rule: str) -> None:
    chosen = RECORD.verdicts[rule]
    words = words_of(with_checks(decided(RECORD, choice=chosen)))
    assert described(chosen.selected.candidate.units)[2:] in words
    assert f"By the rule {rule} : {chosen.reason}." in words


def test_the_headline_is_no_surer_than_the_data() -> None:
    def headline(standing: Standing, *, kept: bool = False, low: float = 0.0) -> str:
        choice = replace(RECORD.choice, undecided=kept, standing=standing)
        uncertainty = replace(RECORD.uncertainty, loss_increase_low=low, loss_increase_high=0.9)
        record = decided(RECORD, choice=choice, uncertainty=uncertainty)
        found = re.search(r"<h1>(.*?)</h1>", render(record, None, draw(record)), re.DOTALL)
        assert found
        return " ".join(found[1].split())

    chosen = RECORD.choice.selected
    said = described(chosen.candidate.units)[2:]
    sure, likely, neither = (headline(word) for word in get_args(Standing))
    worse, kept = headline("open", low=0.02), headline("open", kept=True)
    assert len({sure, likely, neither, worse, kept}) == 5
    for line in (sure, likely, worse, kept):
        assert said in line
        assert line.endswith(f": {chosen.parameters:,} parameters")
    assert "enough" in sure
    assert "probably" in likely
    assert "worse than the best" in worse
    assert "Open" in kept


def test_more_data_are_asked_for_only_where_they_can_help() -> None:
    def stability(*, kept: bool) -> str:
        choice = replace(RECORD.choice, undecided=kept)
        uncertainty = replace(RECORD.uncertainty, undecided=True, advice="Another rule may.")
        words = words_of(decided(RECORD, choice=choice, uncertainty=uncertainty))
        return words[words.index("Stability.") : words.index("Test split.")]

    assert "not enough data" in stability(kept=False)
    assert "CS012" in stability(kept=False)
    assert "not enough data" not in stability(kept=True)
    assert "Another rule may." in stability(kept=True)


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    first = write(RECORD, tmp_path, None)
    second = write(RECORD, tmp_path, PLACE)
    assert first == second
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "capacity_curve.svg", "overfitting.svg", "report.html", "selected_seeds.svg",
    ]  # fmt: skip
    assert "abc123" in second.page.read_text()


def test_every_check_has_its_row_and_every_warning_stands_at_the_top(page: str) -> None:
    words = text_of(page)
    head = words[: words.index("How small can it be?")]
    assert RECORD.warnings
    for check in RECORD.checks:
        assert f"{check.code} {check.status} {check.sentence}." in words
        assert (f"{check.code} {check.sentence}." in head) == (check in RECORD.warnings)


def test_baselines_are_shown_by_their_fresh_seeds_and_failures_by_their_reason() -> None:
    failed = Outcome.failed("diverged", "diverged: loss became NaN or infinite at epoch 2")
    finalists = {e.candidate for e in RECORD.estimates}
    baselines = [t for t in RECORD.trials if t.group == "baseline" and t.name != "original"]
    gone = next(t for t in baselines if t.candidate not in finalists)
    trials = tuple(t.ended(failed) if t is gone else t for t in RECORD.trials)
    replicates = tuple(t for t in RECORD.replicates if t.candidate != gone.candidate)
    record = replace(RECORD, trials=trials, replicates=replicates)
    words = words_of(record)
    runs = [t for t in replicates if t.id.startswith("replicate/baseline/original/")]
    mean = estimate(runs)
    assert mean is not None
    assert f"original 16-16 units 160,305 {mean.mean:.4f} ± {mean.se:.4f}" in words
    assert f"{gone.name} diverged: loss became NaN or infinite at epoch 2" in words


def test_the_last_size_bands_say_why_no_larger_sizes_were_searched() -> None:
    growth = (
        RungEvidence(0, opened=True, parameters=10_001, val_loss=0.29, pays=True),
        RungEvidence(1, True, 20_103, 0.28, gain=0.01, se=0.002, pays=True),
        RungEvidence(2, True, 40_009, 0.281, gain=-0.001, se=0.002),
        RungEvidence(3, opened=False),
    )
    words = words_of(decided(RECORD, growth=growth))
    assert "+0.0100 ± 0.0020, clear gain" in words
    assert "-0.0010 ± 0.0020, no clear gain" in words
    assert "not searched" in words
    assert "Gain over smaller sizes" not in words_of(RECORD)


@pytest.mark.needs("chromium")
def test_a_browser_shows_the_page_without_a_complaint(tmp_path: Path) -> None:
    browser = require("chromium")
    page = write(RECORD, tmp_path, PLACE).page
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    run = subprocess.run(
        [browser, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert f"{RECORD.choice.selected.parameters:,} parameters</h1>" in " ".join(run.stdout.split())
    assert run.stdout.count("<svg") == 3
    assert "CONSOLE" not in run.stderr
