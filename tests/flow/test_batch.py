"""The contract of a batch job: deadlines, waiting, doing nothing, and logs that a machine reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from capsearch.cli.options import deadline_of
from capsearch.errors import BadRequest
from capsearch.records import Outcome, Trial
from capsearch.search import Pace
from tests.fakes import outcome_of
from tests.place import STUDY, Place, check_whole, lasting, until
from tests.samples import record_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45m", 2700), ("2h", 7200), ("1h30m", 5400), ("90s", 90), ("90", 90), ("1h1m1s", 3661)],
)
def test_a_deadline_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert deadline_of(text).seconds == seconds


@pytest.mark.parametrize("text", ["", "0", "0m", "soon", "-5m", "1.5h", "5 m", "30m2h", "5d", "h"])
def test_a_deadline_that_is_none_is_refused_with_what_is_legal(text: str) -> None:
    with pytest.raises(BadRequest, match="must be a time such as 45m, 2h, 1h30m or 90s"):
        deadline_of(text)


def test_what_must_follow_the_search_is_reckoned_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 s for 5 trainings, 2 open, 3 replicates of one that took twice the mean: 46 s."""
    slow, quick = record_of().trials[:2]
    took = {slow.id: 6.0, quick.id: 0.0}
    ended = [_in(trial, took[trial.id]) for trial in (slow, quick)]  # the mean is 3 s
    monkeypatch.setattr("time.monotonic", lambda: 110.0)
    pace = Pace(began=100.0)
    assert pace.needed(5, 2, ended, [slow] * 3) == pytest.approx((2 + 3 * 2) * 2 + 30)


def _in(trial: Trial, seconds: float) -> Trial:
    known = outcome_of(trial.job)
    return trial.ended(Outcome(known.curve, 2, known.val_loss, 0.8, seconds))


def lines(err: str) -> list[dict[str, Any]]:
    """Every line of a log, each an object with what all of them have."""
    read = [json.loads(line) for line in err.splitlines()]
    assert all({"time", "level", "study", "event"} <= set(line) for line in read)
    return read


@pytest.mark.integration
def test_a_deadline_cuts_the_search_so_that_the_study_can_be_ended(place: Place) -> None:
    """31 s, of which 30 are kept for the end: a few rounds are trained, and not all 60 trials."""
    (place.folder / "mine.toml").write_text(STUDY.replace("trials = 12", "trials = 60"))
    first = place.run("study", "mine", "--deadline", "31s")
    assert first.code in (0, 3), first.raw  # 3 on a machine that was too slow for it
    cut = place.column("cut")
    assert cut is not None
    document, _ = place.study()
    assert place.column("cut") == cut
    assert 14 <= document["trials"]["complete"] < 62


@pytest.mark.integration
def test_a_run_that_cannot_make_it_exits_with_3_and_logs_in_json_to_the_last_line(
    place: Place,
) -> None:
    ended = place.run("study", "mine", "--deadline", "1s", "--log-format", "json", "--json")
    assert (ended.code, ended.out) == (3, ""), ended.raw
    last = lines(ended.raw)[-1]
    assert (last["event"], last["level"], last["exit_code"]) == ("failed", "error", 3)
    assert "1 s" in last["message"]


@pytest.mark.integration
def test_a_second_start_may_wait_and_says_so_in_json(
    place: Place, done: tuple[Place, dict[str, Any]]
) -> None:
    first = place.start("study", "mine", "--json")
    until(lambda: place.trained(1) or first.poll() is not None)
    second = place.start("study", "mine", "--wait", "--log-format", "json", "--json")
    out, err = first.communicate(timeout=300)
    assert first.returncode == 0, err
    again, log = second.communicate(timeout=300)
    assert second.returncode == 0, log
    assert json.loads(again) == json.loads(out)  # one document each, and the same
    assert lasting(json.loads(out)) == lasting(done[1])
    events = lines(log)
    assert str(first.pid) in next(e["message"] for e in events if e["event"] == "note")
    assert events[-1]["event"] == "result"
    check_whole(place)


@pytest.mark.integration
def test_if_changed_does_nothing_for_what_is_complete_and_starts_what_is_not(
    place: Place, done: tuple[Place, dict[str, Any]]
) -> None:
    complete, document = done
    page = Path(document["report"])
    before = page.stat().st_mtime_ns
    same, _ = complete.study("--if-changed")
    assert same == document
    assert page.stat().st_mtime_ns == before
    ended = place.run("study", "mine", "--if-changed", "--deadline", "1s")
    assert ended.code == 3, ended.raw  # it has begun
