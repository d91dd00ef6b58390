"""What every tracker promises; `tests/tracking/` runs these against each of them."""

from pathlib import Path
from typing import Protocol

import pytest

from capsearch.tracking.base import Tracker
from tests.fakes import study_of
from tests.samples import record_of


class Inspected(Protocol):
    """A tracker under test, and a way to look at what it wrote."""

    def open(self) -> Tracker: ...
    def trials(self) -> dict[str, str]:
        """Trial id to 'complete' or the reason of its failure; a doubled one is an error."""
        ...


class TrackerContract:
    """Subclass with a `place` fixture."""

    def test_a_trial_is_written_once_however_often_it_is_handed_over(
        self, place: Inspected
    ) -> None:
        record = record_of()
        for _ in range(2):  # the second time as after a restart
            tracker = place.open()
            tracker.begin(record.study)
            for trial in (*record.trials, *record.trials):
                tracker.log(trial)
            assert tracker.missing == 0
        assert set(place.trials()) == {t.id for t in record.trials}

    def test_a_failed_trial_keeps_its_reason(self, place: Inspected) -> None:
        record = record_of()
        tracker = place.open()
        tracker.begin(record.study)
        for trial in record.trials:
            tracker.log(trial)
        failed = {t.id: t.outcome.reason for t in record.trials if t.outcome and t.outcome.reason}
        assert failed
        written = place.trials()
        assert {id_: written[id_] for id_ in failed} == failed

    def test_finishing_says_where_the_study_is(self, place: Inspected, tmp_path: Path) -> None:
        record, model = record_of(), tmp_path / "model"
        report = tmp_path / "report.html"
        report.write_text("<p>report</p>")
        model.mkdir()
        (model / "MLmodel").write_text("flavors: {}\n")
        tracker = place.open()
        tracker.begin(record.study)
        first = tracker.finish(record, report, [], model)
        assert first is not None
        again = place.open()
        again.begin(record.study)
        assert again.finish(record, report, [], model) == first
        tracker.close()

    def test_two_studies_do_not_mix(self, place: Inspected) -> None:
        record = record_of()
        for study in (record.study, study_of(name="other")):
            tracker = place.open()
            tracker.begin(study)
            tracker.log(record.trials[0])
            assert tracker.missing == 0
        with pytest.raises(AssertionError, match="doubled"):
            place.trials()
