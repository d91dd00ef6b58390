"""Splitting is pure: seeded, stratified, and no text in two splits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capsearch.data.split import fingerprint, shared_texts, split_rows

SHARES = {"validation": 0.2, "test": 0.2}
rows = st.lists(
    st.tuples(st.sampled_from("abcdefghij"), st.integers(0, 1)), min_size=1, max_size=80
)


@given(rows, st.integers(0, 9))
def test_every_row_has_one_split_and_every_text_too(
    drawn: list[tuple[str, int]], seed: int
) -> None:
    texts, labels = [t for t, _ in drawn], np.array([y for _, y in drawn])
    parts = split_rows(texts, labels, SHARES, seed)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(drawn)))
    found = {name: {texts[i] for i in numbers} for name, numbers in parts.items()}
    assert not found["train"] & found["validation"]
    assert not found["train"] & found["test"]
    assert not found["validation"] & found["test"]


@given(st.integers(10, 200), st.integers(10, 200), st.integers(0, 9))
def test_each_class_is_divided_by_the_same_shares(zeros: int, ones: int, seed: int) -> None:
    texts = [str(i) for i in range(zeros + ones)]
    labels = np.array([0] * zeros + [1] * ones)
    parts = split_rows(texts, labels, SHARES, seed)
    for name in SHARES:
        inside = labels[parts[name]]
        assert (inside == 0).sum() == round(0.2 * zeros)
        assert (inside == 1).sum() == round(0.2 * ones)


@given(st.integers(2, 40), st.integers(0, 99))
def test_a_text_repeated_often_costs_no_split_its_rows(repeats: int, seed: int) -> None:
    texts = ["again"] * repeats + [str(i) for i in range(100 - repeats)]
    parts = split_rows(texts, np.zeros(100), SHARES, seed)
    assert {name: len(rows) for name, rows in parts.items()} == {
        "train": 60,
        "validation": 20,
        "test": 20,
    }


def test_the_seed_alone_decides() -> None:
    texts, labels = [str(i) for i in range(100)], np.arange(100) % 2
    first, second, other = (split_rows(texts, labels, SHARES, seed) for seed in (1, 1, 2))
    assert all((first[name] == second[name]).all() for name in first)
    assert any(len(first[n]) != len(other[n]) or (first[n] != other[n]).any() for n in first)


@given(rows, st.randoms())
def test_a_fingerprint_ignores_the_order_and_nothing_else(
    drawn: list[tuple[str, int]], rng: object
) -> None:
    shuffled = list(drawn)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]

    def print_of(pairs: list[tuple[str, int]]) -> str:
        return fingerprint([t for t, _ in pairs], np.array([y for _, y in pairs], np.float32))

    assert print_of(shuffled) == print_of(drawn)
    changed = [(drawn[0][0], 1 - drawn[0][1]), *drawn[1:]]
    assert print_of(changed) != print_of(drawn)
    assert print_of([*drawn, drawn[0]]) != print_of(drawn)


def test_shared_texts_are_counted_by_hand() -> None:
    splits = {"train": ["a", "b", "a"], "validation": ["a", "c", "a"], "test": ["c", "d"]}
    expected = {"train/validation": 2, "train/test": 0, "validation/test": 1}
    assert shared_texts(splits) == expected
