"""Splitting is pure: seeded, stratified, and no text in two splits."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from capsearch.data.fingerprints import fingerprint, header_of, row_digests, text_digest
from capsearch.data.split import shared_keys, split_by_time, split_rows

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
        return fingerprint(text_digest(text, float(label)) for text, label in pairs)

    assert print_of(shuffled) == print_of(drawn)
    changed = [(drawn[0][0], 1 - drawn[0][1]), *drawn[1:]]
    assert print_of(changed) != print_of(drawn)
    assert print_of([*drawn, drawn[0]]) != print_of(drawn)


def test_shared_rows_are_counted_by_hand() -> None:
    splits = {"train": ["a", "b", "a"], "validation": ["a", "c", "a"], "test": ["c", "d"]}
    expected = {"train/validation": 2, "train/test": 0, "validation/test": 1}
    assert shared_keys(splits) == expected


times = st.lists(st.integers(0, 30), min_size=4, max_size=80)
SHARE = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.45])


@given(times, SHARE, SHARE)
def test_the_last_rows_are_tested_on_and_equal_times_stay_together(
    drawn: list[int], validation: float, test: float
) -> None:
    shares = {n: s for n, s in (("validation", validation), ("test", test)) if s}
    time = np.array(drawn)
    parts = split_by_time(time, shares)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(drawn)))
    assert list(parts) == ["train", *shares]
    moments = [time[rows] for rows in parts.values() if len(rows)]
    for before, after in pairwise(moments):
        assert before.max() < after.min()


@given(st.integers(10, 300), SHARE, SHARE)
def test_distinct_times_are_divided_by_the_shares(
    rows: int, validation: float, test: float
) -> None:
    shares = {n: s for n, s in (("validation", validation), ("test", test)) if s}
    parts = split_by_time(np.random.default_rng(rows).permutation(rows), shares)
    assert all(len(parts[name]) == round(share * rows) for name, share in shares.items())


def test_a_split_in_time_by_hand() -> None:
    parts = split_by_time(np.array([2, 1, 3, 2]), {"validation": 0.5})
    assert {name: rows.tolist() for name, rows in parts.items()} == {
        "train": [0, 1, 3], "validation": [2],
    }  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1)), min_size=20, max_size=200))
def test_a_group_is_never_in_two_splits(drawn: list[tuple[int, int]]) -> None:
    groups = [group for group, _ in drawn]
    parts = split_rows(groups, np.zeros(len(drawn)), SHARES, seed=1)
    found = [{groups[i] for i in rows} for rows in parts.values()]
    assert sum(map(len, found)) == len(set.union(*found))


VALUES = st.floats(-2, 2, width=16)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30))
def test_rows_are_equal_by_their_values_alone(drawn: list[tuple[float, float]]) -> None:
    x = np.array(drawn, np.float64)
    ways = [
        row_digests({"x": x}),
        row_digests({"x": x.astype(np.float32)}),
        row_digests({"x": np.asfortranarray(x)}),
        row_digests({"b": x[:, 1], "a": x[:, 0]}),
    ]
    assert ways[1:] == ways[:1] * 3
    equal = [[a == b for b in ways[0]] for a in ways[0]]
    assert equal == [[tuple(a) == tuple(b) for b in x + 0.0] for a in x + 0.0]
    rows = sparse.csr_matrix(x)
    ones = row_digests({"x": rows})
    assert [[a == b for b in ones] for a in ones] == equal


def test_what_is_missing_is_equal_and_no_text_is_taken_for_another() -> None:
    one = {"a": np.array(["", None, "x", "x"], object), "b": np.array([1, 1, 2, 2])}
    first, second, third, fourth = row_digests(one)
    assert first == second
    assert third == fourth != first
    split = {"a": np.array(["ab", "a"], object), "b": np.array(["c", "bc"], object)}
    assert len(set(row_digests(split))) == 2
    stamps = {"a": np.array(["2026-01-02", "NaT"], "M8[s]"), "b": np.array([np.nan, np.nan])}
    assert len(set(row_digests(stamps))) == 2


def test_the_names_and_kinds_of_columns_tell_tables_apart() -> None:
    ones = np.ones(3)
    headers = [
        header_of({"a": ones, "b": ones}), header_of({"a": ones, "c": ones}),
        header_of({"a": ones, "b": ones.astype(int)}),
    ]  # fmt: skip
    assert len(set(headers)) == 3
    assert header_of({"b": ones, "a": ones}) == headers[0]
