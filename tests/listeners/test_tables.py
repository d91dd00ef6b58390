"""What commands show at their end, at 80 columns: the facts, and no line too long."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from capsearch.kept.usage import three_lines
from capsearch.listeners import tables
from capsearch.probe import Memorisation, Probe
from capsearch.records import Candidate, Check, DataProfile, StudyRecord
from capsearch.storage import StudyRow
from tests.fakes import profile_of
from tests.samples import record_of

RECORD = record_of()
SMALL, LARGE = RECORD.estimates[0], RECORD.estimates[-1]
LINEAR = Memorisation(Candidate(()), 21, (0.75, 0.65), (0.5, 0.3), unfinished=True)
WIDE = Memorisation(Candidate((64,)), 1409, (1.0, 0.998), (1.0, 0.996), unfinished=False)


def shown(show: Any, *what: Any) -> str:
    console = Console(record=True, width=80, file=StringIO())
    show(console, *what)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    return text


def result(record: StudyRecord) -> str:
    return " ".join(shown(tables.show_result, record, "r.html").split())


def decided(**fields: Any) -> StudyRecord:
    return replace(RECORD, decision=replace(RECORD.decision, **fields))


def probed(*sizes: Memorisation) -> str:
    return " ".join(shown(tables.show_probe, "toy", Probe(200, 0.5, 1.0, 80, sizes)).split())


def test_warnings_are_shown_with_their_code_and_other_answers_are_not() -> None:
    checks = (Check("CS001", "ok", "all is well"), Check("CS002", "warning", "too small [x]"))
    text = result(replace(RECORD, checks=checks))
    assert "CS002 too small [x]" in text
    assert "CS001" not in text


def test_the_selected_network_is_shown_with_its_reason_settings_and_cost() -> None:
    choice = replace(RECORD.choice, selected=SMALL, best=LARGE, rule="knee", reason="so it is.")
    uncertainty = replace(
        RECORD.uncertainty,
        stability=0.73,
        resamples=1000,
        loss_increase=0.0089,
        loss_increase_low=0.003,
        loss_increase_high=0.15,
    )
    text = result(decided(choice=choice, uncertainty=uncertainty))
    assert "rule knee: so it is" in text
    assert f"learning rate {SMALL.candidate.learning_rate:.2g}" in text
    assert "+0.0089 validation loss (95% interval +0.0030 to +0.1500)" in text
    assert "points of accuracy" in text
    assert "73% of 1,000 bootstrap resamples" in text
    few = replace(uncertainty, loss_increase_low=float("-inf"), loss_increase_high=float("inf"))
    assert "+inf" not in result(decided(choice=choice, uncertainty=few))


def test_the_best_itself_has_no_cost() -> None:
    alone = decided(choice=replace(RECORD.choice, selected=SMALL, best=SMALL))
    assert "Cost" not in result(alone)
    assert "selected, best" in result(alone)


def test_the_openings_by_other_studies_are_counted_in_words() -> None:
    def openings(count: int) -> str:
        assert RECORD.test is not None
        return result(replace(RECORD, test=replace(RECORD.test, openings=count)))

    assert "Opened once, 2026-01-02 03:04 UTC" in openings(1)
    assert "opened this test split" not in openings(1)
    assert "1 other study has opened this test split" in openings(2)
    assert "2 other studies have opened this test split" in openings(3)


def test_the_path_of_the_report_is_one_line_whatever_its_length() -> None:
    console = Console(record=True, width=80, file=StringIO())
    tables.show_result(console, RECORD, "/a/b" * 40)
    assert any("/a/b" * 40 in line for line in console.export_text().splitlines())


def test_the_report_is_named_as_it_is_called_from_here() -> None:
    console = Console(record=True, width=80, file=StringIO())
    tables.show_result(console, RECORD, str(Path.cwd() / "mlruns" / "reports" / "r.html"))
    assert "Report     mlruns/reports/r.html" in console.export_text()


@pytest.mark.parametrize("rows", ["table", "texts", "numbers", "sparse"])
def test_the_model_is_shown_with_the_three_lines_that_use_it(rows: str) -> None:
    """Each of them is one line, to be copied, whatever the folder's name."""
    console, path = Console(record=True, width=80, file=StringIO()), "/a/[red]'b" * 20
    tables.show_result(console, RECORD, "r.html", {"path": path, "rows": rows, "columns": []})
    lines = console.export_text().splitlines()
    code = [line.rstrip() for line in lines[-3:]]
    assert code == list(three_lines(path, rows))
    compile("\n".join(code), "lines", "exec")
    assert any(line.startswith("Model") and line.rstrip().endswith(path) for line in lines)


def test_a_probe_names_the_smallest_that_memorises_all_and_what_was_still_learning() -> None:
    text = probed(LINEAR, WIDE)
    assert "linear 21 ≥ 40.0% 30.0% to 50.0% 70.0%" in text
    assert "1 layer of 64 units (1,409 parameters) is the smallest" in text
    assert "≥: " in text
    assert "--epochs" in text


def test_a_probe_says_when_even_the_smallest_or_none_memorises_all() -> None:
    assert "Even the smallest network tried, 1 layer of 64 units" in probed(WIDE)
    none = probed(replace(LINEAR, unfinished=False))
    assert "No size memorises 99% of the labels within 80 epochs" in none
    assert "≥" not in none


def data(**shared: int) -> str:
    profile: DataProfile = profile_of("toy", 20)
    pairs = {pair.replace("_", "/"): count for pair, count in shared.items()}
    return shown(tables.show_data, replace(profile, duplicates=pairs))


def test_rows_in_two_splits_are_counted_and_none_is_said_too() -> None:
    assert "1,200 test rows also appear in train" in data(train_test=1200, train_validation=0)
    assert "more than one split" not in data(train_test=1200)
    assert "more than one split" in data(train_test=0)


def row(key: str, document: dict[str, Any] | None) -> StudyRow:
    fields = dict.fromkeys(StudyRow.__dataclass_fields__)
    fields |= {"key": key, "started_at": "2026-01-02T03:04:05", "seconds": 61.0}
    return StudyRow(**(fields | {"document": document}))


def test_a_list_has_what_can_be_run_and_what_was_run_with_its_choice() -> None:
    selected = {"selected": {"units": [162], "parameters": 1620325}}
    text = shown(tables.show_studies, ["imdb"], [row("a-1", selected), row("b" * 28, None)])
    assert "imdb" in text
    assert "1 layer of 162 units" in text
    assert "b" * 28 in text
    assert "not finished" in text
    assert "capsearch study" in shown(tables.show_studies, ["imdb"], [])
