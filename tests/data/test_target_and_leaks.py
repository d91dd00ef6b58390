"""What is predicted, and which columns give it away."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from capsearch.data.columns import Column, columns_of, leaks, target_of
from capsearch.data.columns.leaks import adds_up, say_the_same, scores


def texts(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (["yes", "no", "yes"], "binary"),
        (["0", "1", ""], "binary"),
        (["-1", "1"], "binary"),
        ([True, False], "binary"),
        (["a", "b", "c"] * 20, "multiclass"),
        ([f"{n / 7:.3f}" for n in range(99)], "regression"),
        ([n / 7 for n in range(99)], "regression"),
        ([n % 29 for n in range(99)], "regression"),
        (["12", "15", "19", "30"], "regression"),  # hardly any twice: no classes
    ],
)
def test_the_task_is_told_by_labels_that_leave_no_doubt(labels: list[Any], task: str) -> None:
    assert target_of("y", texts(labels)).task == task


@pytest.mark.parametrize("labels", [[3, 4, 5, 6] * 9, ["1", "2", "3"] * 9, [1.0, 2.0, 3.0] * 9])
def test_a_few_whole_numbers_may_be_classes_or_amounts(labels: list[Any]) -> None:
    found = target_of("y", texts(labels))
    assert found.task is None
    assert found.lines == ('task = "multiclass"', 'task = "regression"')


def test_labels_that_are_nearly_all_numbers_are_asked_for() -> None:
    found = target_of("y", texts([str(n) for n in range(50)] + ["?"]))
    assert found.task is None
    assert found.lines[0] == 'null.y = ["?"]\nunlabelled = "drop"'
    assert target_of("y", texts([str(n) for n in range(50)] + ["?"]), ("?",)).task == "regression"


@pytest.mark.parametrize("labels", [["a"] * 5, ["", ""], [f"name {n}" for n in range(60)]])
def test_labels_that_nothing_can_be_learned_from_are_no_task(labels: list[str]) -> None:
    assert target_of("y", texts(labels)).task is None


def test_missing_labels_are_counted() -> None:
    assert target_of("y", texts(["a", "", "b", None])).missing == 2


ROWS = 400
RNG = np.random.default_rng(0)
CLASS = RNG.integers(0, 2, ROWS)
PRICE = RNG.normal(100, 15, ROWS)


def table(**more: Any) -> tuple[dict[str, np.ndarray], tuple[Column, ...]]:
    made = {"noise": RNG.normal(size=ROWS), **more}
    return made, columns_of(made)


def found(target: np.ndarray, **more: Any) -> dict[str, str]:
    made, columns = table(**more)
    return {leak.column: leak.why for leak in leaks(made, columns, target)}


LABELS = texts([("no", "yes")[c] for c in CLASS])


def test_the_target_in_other_words_is_a_leak() -> None:
    told = found(
        LABELS,
        same=LABELS,
        alive=texts([("dead", "alive")[c] for c in CLASS]),
        code=CLASS * 7.5 + 0.25,
    )
    assert set(told) == {"same", "alive", "code"}
    assert "equal" in told["same"]


def test_a_column_that_predicts_nearly_everything_is_a_leak() -> None:
    """A lifeboat's number is missing for nearly all who died."""
    boat = texts([str(RNG.integers(1, 20)) if c else "" for c in CLASS])
    assert list(found(LABELS, boat=boat)) == ["boat"]
    assert list(found(LABELS, amount=RNG.random(ROWS) + 2.0 * CLASS)) == ["amount"]


def test_a_good_column_and_a_unique_one_are_no_leaks() -> None:
    good = np.where(RNG.random(ROWS) < 0.9, CLASS, 1 - CLASS) + RNG.normal(0, 0.1, ROWS)
    names = texts([f"person {n} lives here" for n in range(ROWS)])
    assert found(LABELS, good=good, name=names) == {}


def test_a_regression_is_given_away_by_its_target_on_another_scale() -> None:
    told = found(
        PRICE, cents=PRICE * 100, square=PRICE**2, near=PRICE + RNG.normal(0, 0.3, ROWS),
        far=PRICE + RNG.normal(0, 5, ROWS),
    )  # fmt: skip
    assert set(told) == {"cents", "square", "near"}


def test_rows_without_a_label_tell_nothing() -> None:
    labels = LABELS.copy()
    labels[:50] = ""
    made, columns = table(alive=LABELS)
    assert scores(made, columns, labels)["alive"] == 1.0


def test_few_rows_prove_no_leak_but_equal_columns_are_one() -> None:
    made = {"x": texts(["a", "b"] * 5), "other": texts(["p", "q"] * 5)}
    told = leaks(made, columns_of(made), texts(["a", "b"] * 5))
    assert [leak.column for leak in told] == ["x"]


def test_a_target_that_is_a_sum_of_columns_is_told() -> None:
    fare, tip, noise = RNG.gamma(2, 5, ROWS), RNG.gamma(1, 2, ROWS), RNG.normal(0, 0.1, ROWS)
    made, columns = table(fare=fare, tip=tip)
    names, share = adds_up(made, columns, fare + tip + noise) or ((), 0.0)
    assert names == ("fare", "tip")
    assert share > 0.99
    assert adds_up(made, columns, RNG.normal(size=ROWS)) is None


def test_columns_that_say_the_same_are_grouped() -> None:
    short = texts(list(RNG.choice(list("SCQ"), ROWS)))
    words = {"S": "Southampton", "C": "Cherbourg", "Q": "Queenstown"}
    made, columns = table(short=short, long=texts([words[each] for each in short]), other=LABELS)
    assert say_the_same(made, columns) == [("short", "long")]
    made, columns = table(one=RNG.normal(size=ROWS), two=RNG.normal(size=ROWS))
    assert say_the_same(made, columns) == []  # every value is another one in all of them


def test_no_label_at_all_gives_nothing_away() -> None:
    columns = columns_of({"x": texts(["a", "b"] * 5)})
    assert leaks({"x": texts([])}, columns, texts([])) == []
