"""Every check on both sides of its threshold, and where it has nothing to say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.records import (
    Candidate,
    Curve,
    Estimate,
    Folds,
    Job,
    Outcome,
    Proof,
    StudyRecord,
    TestScore,
    Trial,
    Uncertainty,
)
from capsearch.report.checks import CHECKS, with_checks
from capsearch.report.checks.training import optimism
from tests.samples import record_of

RECORD = record_of()
LADDER = RECORD.study.ladder


def status(code: str, record: StudyRecord) -> str:
    return CHECKS[code](record).status


def sentence(code: str, record: StudyRecord) -> str:
    return CHECKS[code](record).sentence


def estimate(parameters: int, mean: float = 0.28, se: float = 0.01, **settings: Any) -> Estimate:
    given: dict[str, Any] = {"units": (16,), "dropout": 0.3, "learning_rate": 3e-3} | settings
    return Estimate(Candidate(**given), parameters, mean, se, 5)


def chosen(selected: Estimate, best: Estimate | None = None) -> StudyRecord:
    choice = replace(RECORD.choice, selected=selected, best=best or selected)
    estimates = tuple(dict.fromkeys((selected, choice.best)))
    return decided(RECORD, choice=choice, estimates=estimates)


def decided(record: StudyRecord, **fields: Any) -> StudyRecord:
    return replace(record, decision=replace(record.decision, **fields))


def scored(record: StudyRecord, **fields: Any) -> StudyRecord:
    assert isinstance(record.test, TestScore)
    return replace(record, test=replace(record.test, **fields))


def space(record: StudyRecord, **dimensions: object) -> StudyRecord:
    question = record.study.question
    changed = question | {"space": question["space"] | dimensions}
    return replace(record, study=replace(record.study, question=changed))


def data(**fields: Any) -> StudyRecord:
    return replace(RECORD, study=replace(RECORD.study, data=replace(RECORD.study.data, **fields)))


def replicate(candidate: Candidate, seed: int, outcome: Outcome) -> Trial:
    job = Job.of(candidate, study_seed=0, replicate=seed, epochs=40, patience=4)
    return Trial(f"replicate/{seed}", "replicate", 0, candidate.label, job, 1000, outcome)


def curved(*val_loss: float, losses: np.ndarray | None = None) -> Outcome:
    curve = Curve(val_loss, val_loss, val_loss, val_loss)
    best = int(np.argmin(val_loss)) + 1
    return Outcome(curve, best, min(val_loss), 0.5, val_losses=losses)


def test_every_code_is_explained_once_in_the_readme() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    for code in CHECKS:
        assert text.count(f"| {code} |") == 1
    assert text.count("| CS0") == len(CHECKS)


def test_answers_come_in_the_order_of_their_codes_and_read_as_parts_of_a_sentence() -> None:
    checks = with_checks(RECORD).checks
    assert [c.code for c in checks] == sorted(CHECKS)
    assert not [c for c in checks if c.sentence.endswith(".")]
    assert set(RECORD.warnings) == {c for c in checks if c.status == "warning"}


@pytest.mark.parametrize(
    ("parameters", "expected"), [(LADDER[-2], "warning"), (LADDER[-2] - 1, "ok")]
)
def test_cs001_the_best_size_in_the_largest_size_band(parameters: int, expected: str) -> None:
    assert status("CS001", chosen(estimate(10_001), estimate(parameters))) == expected


def test_cs001_does_not_apply_to_a_space_of_one_size_band() -> None:
    study = replace(RECORD.study, ladder=(1000, 2000))
    assert status("CS001", replace(RECORD, study=study)) == "not applicable"


def test_cs002_the_smallest_network_that_the_space_allows() -> None:
    assert status("CS002", chosen(estimate(LADDER[0]))) == "warning"
    assert status("CS002", chosen(estimate(LADDER[0] + 1))) == "ok"
    assert status("CS002", chosen(estimate(LADDER[0], units=()))) == "not applicable"


# dropout 0 to 0.6: edges are nearer than 2 % of 0.6, 0.012; learning rate 3e-4 to 3e-2 on a log
# scale: nearer than 2 % of a factor of 100, a factor of 1.0965
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "ok"),
        ({"dropout": 0.589}, "warning"),
        ({"dropout": 0.587}, "ok"),
        ({"dropout": 0.0}, "ok"),
        ({"dropout": 0.001}, "ok"),
        ({"learning_rate": 3e-4 * 1.09}, "warning"),
        ({"learning_rate": 3e-4 * 1.10}, "ok"),
        ({"learning_rate": 3e-2 / 1.09}, "warning"),
        ({"learning_rate": 3e-2 / 1.10}, "ok"),
        ({"l1": 1e-3}, "warning"),
        ({"l1": 1e-8}, "ok"),  # below it is 'off', which is drawn, too
        ({"l2": 1e-2}, "warning"),
        ({"units": (8, 8, 8)}, "warning"),
        ({"units": (8, 8)}, "ok"),
        ({"units": (256,)}, "warning"),
        ({"units": (255,)}, "ok"),
    ],
)
def test_cs003_a_setting_on_the_edge_of_its_range(settings: dict[str, Any], expected: str) -> None:
    assert status("CS003", chosen(estimate(50_000, **settings))) == expected


def test_cs003_names_who_lies_where() -> None:
    best, selected = estimate(90_000, dropout=0.6), estimate(50_000, l1=1e-3)
    two = sentence("CS003", chosen(selected, best))
    assert "dropout (0.60) of the best" in two
    assert "L1 (0.001) of the selected" in two
    assert "dropout (0.60) of the best and selected" in sentence("CS003", chosen(best))


def test_cs003_leaves_alone_what_is_not_searched() -> None:
    edge = chosen(estimate(50_000, dropout=0.6))
    assert status("CS003", space(edge, dropout=None)) == "ok"
    fixed = {"low": 0.6, "high": 0.6, "log": False, "off": False}
    assert status("CS003", space(edge, dropout=fixed)) == "ok"


def test_cs003_the_low_end_is_an_edge_where_nothing_lies_below_it() -> None:
    low = {"low": 0.2, "high": 0.5, "log": False, "off": False}
    assert status("CS003", space(chosen(estimate(50_000, dropout=0.2)), dropout=low)) == "warning"


def tried(*rungs: int) -> tuple[Trial, ...]:
    """Complete trials of different networks in these size bands."""
    one = next(t for t in RECORD.trials if t.outcome and t.outcome.complete)
    return tuple(
        replace(one, rung=rung, job=replace(one.job, candidate=Candidate((width,))))
        for width, rung in enumerate(rungs, start=1)
    )


def test_cs004_too_few_networks_in_a_size_band() -> None:
    even = tried(*[rung for rung in range(3) for _ in range(6)])
    assert status("CS004", replace(RECORD, trials=even)) == "ok"
    few = CHECKS["CS004"](replace(RECORD, trials=even[:-1]))
    assert few.status == "warning"
    assert f"5 from {LADDER[2]:,} to {LADDER[3] - 1:,} parameters" in few.sentence
    failed = (*even[:-1], even[-1].ended(Outcome.failed("diverged")))
    assert status("CS004", replace(RECORD, trials=failed)) == "warning"


def test_cs004_counts_networks_and_not_trials_of_one_network() -> None:
    same = tried(0) * 6
    assert "1 from " in sentence("CS004", replace(RECORD, trials=same))


def test_cs004_a_size_band_in_the_middle_without_any_trial_is_seen() -> None:
    gap = tried(*[rung for rung in (0, 2) for _ in range(6)])
    assert f"0 from {LADDER[1]:,} " in sentence("CS004", replace(RECORD, trials=gap))


@pytest.mark.parametrize(("failed", "expected"), [(2, "ok"), (3, "warning")])
def test_cs005_more_than_a_fifth_of_the_trials_failed(failed: int, expected: str) -> None:
    trial = next(t for t in RECORD.trials if t.outcome and t.outcome.complete)
    bad = trial.ended(Outcome.failed("diverged"))
    trials = (bad,) * failed + (trial,) * (10 - failed)
    assert status("CS005", replace(RECORD, trials=trials)) == expected
    assert f"{failed} x diverged" in sentence("CS005", replace(RECORD, trials=trials))


def test_cs006_still_improving_at_the_last_epoch() -> None:
    best = estimate(50_000)
    falling = tuple(float(v) for v in np.linspace(1.0, 0.3, 40))
    still = replace(chosen(best), replicates=(replicate(best.candidate, 1, curved(*falling)),))
    assert status("CS006", still) == "warning"
    assert "1 layer of 16 units; with more epochs its loss" in sentence("CS006", still)
    turned = replicate(best.candidate, 1, curved(*falling[:-1], 0.9))
    assert status("CS006", replace(still, replicates=(turned,))) == "ok"


def test_cs006_looks_at_finalists_alone() -> None:
    falling = tuple(float(v) for v in np.linspace(1.0, 0.3, 40))
    other = replicate(Candidate((5,)), 1, curved(*falling))
    assert status("CS006", replace(chosen(estimate(50_000)), replicates=(other,))) == "ok"


@pytest.mark.parametrize(("openings", "expected"), [(1, "ok"), (2, "warning")])
def test_cs007_other_studies_opened_the_test_split(openings: int, expected: str) -> None:
    assert status("CS007", scored(RECORD, openings=openings)) == expected


@pytest.mark.parametrize(
    ("others", "said"), [(1, "1 other study has"), (2, "2 other studies have")]
)
def test_cs007_counts_the_other_studies(others: int, said: str) -> None:
    assert said in sentence("CS007", scored(RECORD, openings=1 + others))


@pytest.mark.parametrize("code", ["CS007", "CS017"])
def test_nothing_is_said_of_a_test_that_was_not_opened(code: str) -> None:
    assert status(code, replace(RECORD, test=None)) == "not applicable"


@pytest.mark.parametrize(("count", "expected"), [(0, "ok"), (3, "warning")])
def test_cs008_rows_in_two_splits(count: int, expected: str) -> None:
    record = data(duplicates={"train/test": count, "train/validation": 0})
    assert status("CS008", record) == expected
    assert ("3 test rows" in sentence("CS008", record)) == (count == 3)


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        ({}, "ok"),
        ({"train/test": 0, "groups/test": 0}, "ok"),
        ({"train/test": 4, "groups/test": 0}, "warning"),
        ({"train/test": 0, "groups/test": 4}, "warning"),
    ],
)
def test_cs008_rows_of_a_test_file_are_compared_once_it_was_opened(
    shared: dict[str, int], expected: str
) -> None:
    sizes = {n: rows for n, rows in RECORD.study.data.sizes.items() if n != "test"}
    record = scored(data(sizes=sizes, duplicates={"train/validation": 0}), shared=shared)
    assert status("CS008", record) == expected
    assert ("4 test rows" in sentence("CS008", record)) == (expected == "warning")
    assert ("not looked at" in sentence("CS008", record)) == (not shared)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.5, 0.5, 0.5), "ok"),
        ((0.21, 0.21, 0.21), "ok"),
        ((0.19, 0.19, 0.19), "warning"),
        ((0.81, 0.81, 0.81), "warning"),
        ((0.5, 0.5, 0.525), "ok"),
        ((0.5, 0.5, 0.535), "warning"),
    ],
)
def test_cs009_unequal_classes(shares: tuple[float, ...], expected: str) -> None:
    splits = ("train", "validation", "test")
    assert status("CS009", data(balance=dict(zip(splits, shares, strict=True)))) == expected


def uncertain(**fields: Any) -> StudyRecord:
    record = chosen(estimate(50_000), estimate(90_000, 0.27))
    given = Uncertainty(0.9, 1000, 0.005, 0.001, 0.009, undecided=False, advice="The data suffice.")
    return decided(record, uncertainty=replace(given, **fields))


# the margin is 0.0104 nats, 1.5% of ln 2
@pytest.mark.parametrize(("high", "expected"), [(0.0257, "ok"), (0.0259, "warning")])
def test_cs010_rows_too_few_for_the_margin(high: float, expected: str) -> None:
    assert status("CS010", uncertain(loss_increase_low=0.005, loss_increase_high=high)) == expected


def test_cs010_an_interval_without_an_end_is_said_to_be_unknown() -> None:
    infinite = uncertain(loss_increase_low=-np.inf, loss_increase_high=np.inf)
    assert status("CS010", infinite) == "warning"
    assert "inf" not in sentence("CS010", infinite)


def test_cs010_does_not_apply_when_the_best_is_selected() -> None:
    assert status("CS010", chosen(estimate(50_000))) == "not applicable"


@pytest.mark.parametrize(("share", "expected"), [(0.5, "ok"), (0.49, "warning")])
def test_cs011_an_unstable_choice(share: float, expected: str) -> None:
    assert status("CS011", uncertain(stability=share)) == expected


def test_cs012_what_the_data_cannot_tell_comes_with_advice() -> None:
    assert CHECKS["CS012"](uncertain()) == ("ok", "the data suffice")
    assert CHECKS["CS012"](uncertain(undecided=True, advice="To tell it takes more.")) == (
        "warning", "open: to tell it takes more",
    )  # fmt: skip


def test_cs009_names_one_share_once() -> None:
    assert sentence("CS009", RECORD).count("50.0%") == 1


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_cs009_tells_the_accuracy_of_always_naming_the_larger_class(share: float) -> None:
    splits = ("train", "validation", "test")
    assert "90.0% accurate" in sentence("CS009", data(balance=dict.fromkeys(splits, share)))


def seeds(*curves: tuple[float, ...], se: float) -> StudyRecord:
    one = estimate(50_000, se=se)
    runs = tuple(replicate(one.candidate, i, curved(*c)) for i, c in enumerate(curves))
    return replace(chosen(one), replicates=runs)


def test_cs013_what_a_best_epoch_flatters() -> None:
    curves = ((0.5, 0.3, 0.4), (0.5, 0.4, 0.2))  # each at the other's epoch: 0.1 and 0.2 higher
    assert optimism([curved(*c).curve for c in curves]) == pytest.approx(0.15)
    assert status("CS013", seeds(*curves, se=0.29)) == "warning"
    assert status("CS013", seeds(*curves, se=0.31)) == "ok"
    assert "0.1500 higher (0.5 standard errors)" in sentence("CS013", seeds(*curves, se=0.29))


@given(st.lists(st.lists(st.floats(0.0, 5.0), min_size=2, max_size=6), min_size=2, max_size=5))
def test_a_best_epoch_never_gains_less_than_nothing(series: list[list[float]]) -> None:
    assert optimism([curved(*losses).curve for losses in series]) >= 0.0


def test_cs013_does_not_apply_to_a_single_seed() -> None:
    assert status("CS013", seeds((0.5, 0.3, 0.4), se=0.1)) == "not applicable"


def test_cs014_failed_and_missing_replicates() -> None:
    whole = seeds((0.5, 0.3), (0.5, 0.3), (0.5, 0.3), se=0.1)
    found = replace(whole.replicates[0], id="search/0/0", group="search")
    whole = replace(whole, trials=(found,))
    assert status("CS014", whole) == "ok"
    bad = whole.replicates[0].ended(Outcome.failed("diverged"))
    one = CHECKS["CS014"](replace(whole, replicates=(*whole.replicates, bad)))
    assert one.status == "warning"
    assert "1 of 4" in one.sentence
    assert "1 layer of 16 units" in one.sentence
    former = replicate(Candidate((9,)), 1, Outcome.failed("diverged"))  # trials were added since
    assert status("CS014", replace(whole, replicates=(*whole.replicates, former))) == "ok"
    two = decided(whole, estimates=(replace(whole.estimates[0], replicates=2),))
    assert status("CS014", two) == "warning"


# differences of 0.1 +- 0.1 sqrt(4/3) over 4 rows and seeds alike: see the standard error by hand
@pytest.mark.parametrize(("behind", "expected"), [(0.5, "warning"), (0.1, "ok"), (-0.5, "ok")])
def test_cs015_a_larger_network_that_is_clearly_worse(behind: float, expected: str) -> None:
    rows = np.array([0.2, 0.3, 0.2, 0.3], np.float32)
    noise = np.array([0.1, -0.1, 0.1, -0.1], np.float32)  # of the difference: se 0.1 / sqrt(3)
    small, large = estimate(50_000, 0.25), estimate(90_000, 0.25 + behind, units=(30,))
    runs = tuple(
        replicate(e.candidate, seed, curved(e.mean, losses=losses))
        for e, losses in ((small, rows), (large, rows + behind + noise))
        for seed in (1, 2)
    )
    record = replace(chosen(small, large), replicates=runs)
    assert status("CS015", record) == expected


def test_cs015_needs_two_finalists() -> None:
    assert status("CS015", chosen(estimate(50_000))) == "not applicable"


# half of the rows positive: ln 2 = 0.6931
@pytest.mark.parametrize(("mean", "expected"), [(0.66, "ok"), (0.68, "warning"), (0.7, "warning")])
def test_cs016_nothing_was_learned(mean: float, expected: str) -> None:
    assert status("CS016", chosen(estimate(50_000, mean, se=0.01))) == expected


def test_cs016_knows_the_share_of_the_classes() -> None:
    record = chosen(estimate(50_000, 0.6, se=0.001))
    study = replace(record.study, data=data(balance={"validation": 0.25}).study.data)
    assert "0.5623" in sentence("CS016", replace(record, study=study))


# +-0.0196 is an error of 0.01; with 0.01 of validation, 0.0141; times 1.96: 0.0277
@pytest.mark.parametrize(
    ("loss", "expected"), [(0.307, "ok"), (0.309, "warning"), (0.253, "ok"), (0.251, "warning")]
)
def test_cs017_a_test_loss_that_validation_did_not_promise(loss: float, expected: str) -> None:
    record = chosen(estimate(50_000, 0.28, se=0.01))
    measured = scored(record, loss=loss, loss_low=loss - 0.0196, loss_high=loss + 0.0196)
    assert status("CS017", measured) == expected


@pytest.mark.parametrize(
    ("leaks", "expected"),
    [(None, "not applicable"), ({}, "ok"), ({"alive": "the target in other words"}, "warning")],
)
def test_cs019_columns_that_give_the_answer_away(
    leaks: dict[str, str] | None, expected: str
) -> None:
    record = data(leaks=leaks)
    assert status("CS019", record) == expected
    assert all(name in sentence("CS019", record) for name in leaks or ())


@pytest.mark.parametrize(
    ("rows", "folds", "expected"),
    [(1_000, None, "ok"), (999, None, "warning"), (0, Folds(), "ok")],
)
def test_cs020_few_rows_held_out(rows: int, folds: Folds | None, expected: str) -> None:
    record = data(sizes=RECORD.study.data.sizes | {"validation": rows}, folds=folds)
    assert status("CS020", record) == expected


@pytest.mark.parametrize(
    ("proof", "expected"),
    [
        (Proof(9e-4, 500), "ok"),
        (Proof(1.1e-3, 500), "warning"),
        (Proof(None, 500, "out of memory"), "warning"),
        (None, "not applicable"),
    ],
)
def test_cs018_an_engine_that_is_not_keras(proof: Proof | None, expected: str) -> None:
    answer = CHECKS["CS018"](decided(RECORD, proof=proof))
    assert answer.status == expected
    assert ((proof is not None and proof.reason) or "") in answer.sentence
