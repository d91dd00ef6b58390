"""Sources of files: the contract, files that are split by hand, and what is no such file."""

import gzip
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from capsearch.data import cache, material
from capsearch.data.seal import Sealed, opened_rows
from capsearch.data.source import SourceRef
from capsearch.errors import BadRequest
from capsearch.identity import stated
from tests.contracts.source import SourceContract
from tests.data.test_border import OPENING

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = (X[:, 0] + 0.3 * RNG.normal(size=120) > 0).astype(int)
FRAME = pd.DataFrame({
    "age": (20 + 5 * X[:, 0]).round(2), "town": np.where(X[:, 1] > 0, "Ulm", "Jena"),
    "since": pd.date_range("2020-01-01", periods=120).strftime("%Y-%m-%d"),
    "patient": [f"p{i // 4}" for i in range(120)], "good": np.where(Y == 1, "yes", "no"),
})  # fmt: skip
DROP = {"drop": ["since", "patient"]}


def of(folder: Path, **table: Any) -> SourceRef:
    return SourceRef(table, folder)


def read(ref: SourceRef) -> material.Material:
    return material.read(ref.open(), ref.name, ref.options())


def refused(ref: SourceRef) -> str:
    """What is said of it, whether its identity or its rows are asked for."""

    def ask() -> None:
        ref.open().identity()
        cache.prepare(ref.open(), ref.name, Path(str(ref.folder)) / "cache", ref.options())

    with pytest.raises(BadRequest) as caught:
        ask()
    assert all(m.isprintable() and len(m) < 700 for m in caught.value.mistakes)
    return str(caught.value)


class FileContract(SourceContract):
    """A source of a file in the test's own folder."""

    @pytest.fixture
    def ref(self, tmp_path: Path) -> SourceRef:
        self.write(tmp_path)
        return SourceRef(self.table, tmp_path)

    def write(self, folder: Path) -> None:
        raise NotImplementedError

    def test_its_content_counts_and_its_place_does_not(
        self, ref: SourceRef, tmp_path: Path
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        self.write(other)
        moved = SourceRef(self.table, other)
        assert moved.open().identity() == ref.open().identity()
        assert stated(moved) == stated(ref)
        assert "path" not in stated(ref)
        name = self.table["path"] if isinstance(self.table["path"], str) else self.table["path"][0]
        with (other / name).open("ab") as file:
            file.write(b" ")
        assert moved.open().identity() != ref.open().identity()


class TestNpz(FileContract):
    table: ClassVar = {"source": "arrays", "path": "rows.npz"}

    def write(self, folder: Path) -> None:
        np.savez(folder / "rows.npz", x=X, y=Y)
        # A zip file holds the time of its making; the content is what counts here.
        _same_time(folder / "rows.npz")


class TestNpy(FileContract):
    table: ClassVar = {"source": "arrays", "path": ["x.npy", "y.npy"], "test": 0}

    def write(self, folder: Path) -> None:
        np.save(folder / "x.npy", X.astype(np.float32))
        np.save(folder / "y.npy", Y)


class TestSparse(FileContract):
    table: ClassVar = {"source": "arrays", "path": ["x.npz", "y.npy"]}

    def write(self, folder: Path) -> None:
        sparse.save_npz(folder / "x.npz", sparse.csr_matrix(X))
        _same_time(folder / "x.npz")
        np.save(folder / "y.npy", Y)


class TestCsv(FileContract):
    table: ClassVar = {"source": "csv", "path": "rows.csv", "target": "good", **DROP}

    def write(self, folder: Path) -> None:
        FRAME.to_csv(folder / "rows.csv", index=False)


class TestGzip(FileContract):
    table: ClassVar = {
        "source": "csv", "path": "rows.csv.gz", "target": "good", "group": "patient",
        "drop": "since",
    }  # fmt: skip

    def write(self, folder: Path) -> None:
        packed = gzip.compress(FRAME.to_csv(index=False).encode(), mtime=0)
        (folder / "rows.csv.gz").write_bytes(packed)


class TestParquet(FileContract):
    table: ClassVar = {"source": "parquet", "path": "rows.parquet", "target": "good", **DROP}

    def write(self, folder: Path) -> None:
        FRAME.to_parquet(folder / "rows.parquet")


def _same_time(path: Path) -> None:
    """The same bytes whenever the file is written."""
    with zipfile.ZipFile(path) as found:
        parts = {name: found.read(name) for name in found.namelist()}
    with zipfile.ZipFile(path, "w") as made:
        for name, data in parts.items():
            made.writestr(zipfile.ZipInfo(name), data)


# ---- Rows that are split by whoever has them ----------------------------------------------------


def test_files_of_validation_and_test_rows_are_respected(tmp_path: Path) -> None:
    FRAME[:80].to_csv(tmp_path / "train.csv", index=False)
    FRAME[80:100].to_csv(tmp_path / "validation.csv", index=False)
    FRAME[100:].to_csv(tmp_path / "test.csv", index=False)
    table = {"source": "csv", "path": "train.csv", "target": "good", **DROP}
    ref = of(tmp_path, **table, validation_path="validation.csv", test_path="test.csv")
    rows = read(ref)
    assert {name: part.tolist() for name, part in rows.splits.items()} == {
        "train": list(range(80)), "validation": list(range(80, 100)),
    }  # fmt: skip
    assert set(rows.fingerprints) == {"train", "validation", "test"}
    sealed = Sealed.of(ref.open(), "csv", ref.options())
    folder = cache.prepare(ref.open(), "csv", tmp_path / "cache", ref.options()).folder
    opened = opened_rows(sealed, cache.preparation(folder).matrix, OPENING)
    assert (opened.rows.y == Y[100:]).all()
    drawn = read(of(tmp_path, **table, validation_path="validation.csv"))
    assert drawn.sizes == {"train": 64, "validation": 20, "test": 16}


def test_a_test_file_is_hashed_and_not_read(tmp_path: Path) -> None:
    FRAME[:100].to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "test.csv").write_bytes(b"age,town,good,since,patient\nno table\n at all")
    ref = of(tmp_path, source="csv", path="rows.csv", target="good", test_path="test.csv", **DROP)
    rows = read(ref)
    assert rows.sizes.keys() == {"train"}
    (tmp_path / "test.csv").write_bytes(b"age,town,good,since,patient\nanother")
    assert read(ref).fingerprints["test"] != rows.fingerprints["test"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.assign(age="old"), "row 1, column 'age': 'old' is no number"),
        (lambda f: f.assign(good="maybe"), "labels that are not known: row 1 has 'maybe'"),
        (lambda f: f.assign(good=""), "has no label"),
    ],
)
def test_what_a_test_file_gets_wrong_is_told_at_the_opening(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    FRAME[:100].to_csv(tmp_path / "rows.csv", index=False)
    change(FRAME[100:]).to_csv(tmp_path / "test.csv", index=False)
    ref = of(tmp_path, source="csv", path="rows.csv", target="good", test_path="test.csv", **DROP)
    folder = cache.prepare(ref.open(), "csv", tmp_path / "cache", ref.options()).folder
    with pytest.raises(BadRequest, match=said):
        opened_rows(
            Sealed.of(ref.open(), "csv", ref.options()), cache.preparation(folder).matrix, OPENING
        )


def test_what_rows_of_a_test_file_share_with_the_searched_ones_is_counted_at_the_opening(
    tmp_path: Path,
) -> None:
    """Columns in another order; three training rows again, one of them with another label."""
    FRAME[:80].assign(patient=[f"p{i}" for i in range(80)]).to_csv(
        tmp_path / "rows.csv", index=False
    )
    fresh = FRAME[100:].assign(age=FRAME["age"][100:] + 1000.5, patient="new")
    again = FRAME[:3].assign(patient=["p0", "new", "p79"])
    again.loc[again.index[0], "good"] = FRAME["good"][Y[0] != Y].iloc[0]
    test = pd.concat([fresh, again])
    test[test.columns[::-1]].to_csv(tmp_path / "test.csv", index=False)
    table: dict[str, Any] = {"source": "csv", "path": "rows.csv", "test_path": "test.csv"}
    table |= {"target": "good", "group": "patient", "drop": ["since"], "validation": 0.2}
    ref = of(tmp_path, **table)
    folder = cache.prepare(ref.open(), "csv", tmp_path / "cache", ref.options()).folder
    sealed = Sealed.of(ref.open(), "csv", ref.options())
    shared = opened_rows(sealed, cache.preparation(folder).matrix, OPENING).shared
    assert shared.keys() == {"train/test", "validation/test", "groups/test"}
    assert shared["train/test"] + shared["validation/test"] == 3
    assert shared["groups/test"] == 2


@pytest.mark.parametrize("lacking", ["age", "good", "since"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_test_file_that_lacks_a_column_is_found_before_anything_is_trained(
    tmp_path: Path, form: str, lacking: str
) -> None:
    save = pd.DataFrame.to_csv if form == "csv" else pd.DataFrame.to_parquet
    save(FRAME[:100], tmp_path / "rows", index=False)
    save(FRAME[100:].drop(columns=lacking), tmp_path / "test", index=False)
    table = {"source": form, "path": "rows", "test_path": "test", "target": "good", **DROP}
    assert f"has no column '{lacking}'" in refused(of(tmp_path, **table))


def test_a_test_file_without_names_must_be_as_wide_as_the_others(tmp_path: Path) -> None:
    FRAME[:100].to_csv(tmp_path / "rows.csv", index=False, header=False)
    text = FRAME[100:].to_csv(index=False, header=False)
    table: dict[str, Any] = {"source": "csv", "path": "rows.csv", "test_path": "test.csv"}
    table |= {"target": "c5", "header": False, "drop": ["c3", "c4"]}
    (tmp_path / "test.csv").write_text(f"|one more line\n{text}")
    told = refused(of(tmp_path, **table))
    assert "must have 5 values in a row, as the other rows have, but line 1 has 2" in told
    (tmp_path / "test.csv").write_text(text)
    assert read(of(tmp_path, **table)).sizes == {"train": 100}


def test_labels_of_a_test_file_may_end_in_a_full_stop(tmp_path: Path) -> None:
    FRAME[:100].to_csv(tmp_path / "rows.csv", index=False)
    FRAME[100:].assign(good=FRAME["good"][100:] + ".").to_csv(tmp_path / "test.csv", index=False)
    ref = of(tmp_path, source="csv", path="rows.csv", target="good", test_path="test.csv", **DROP)
    folder = cache.prepare(ref.open(), "csv", tmp_path / "cache", ref.options()).folder
    sealed = Sealed.of(ref.open(), "csv", ref.options())
    opened = opened_rows(sealed, cache.preparation(folder).matrix, OPENING)
    assert (opened.rows.y == Y[100:]).all()


def test_labels_may_be_read_as_others(tmp_path: Path) -> None:
    FRAME.assign(good=[f"{g}." if i % 3 else g for i, g in enumerate(FRAME["good"])]).to_csv(
        tmp_path / "rows.csv", index=False
    )
    table = {"source": "csv", "path": "rows.csv", "target": "good", **DROP}
    told = refused(of(tmp_path, **table))
    assert "labels are alike" in told
    assert 'relabel = { "' in told
    found = read(of(tmp_path, **table, relabel={"yes.": "yes", "no.": "no"}))
    assert found.task.labels == ("no", "yes")
    assert (found.y == Y).all()
    assert read(of(tmp_path, **table, task="multiclass")).task.outputs == 4
    amounts = {**table, "target": "age", "task": "regression", "drop": ["since", "patient"]}
    assert "data.relabel: is for binary and multiclass" in refused(
        of(tmp_path, **amounts, relabel={"a": "b"})
    )


def test_groups_times_and_several_files(tmp_path: Path) -> None:
    FRAME[:50].to_csv(tmp_path / "a.csv", index=False)
    FRAME[50:].to_csv(tmp_path / "b.csv", index=False)
    table = {"source": "csv", "path": ["a.csv", "b.csv"], "target": "good"}
    grouped = read(of(tmp_path, **table, group="patient", drop="since"))
    found = [set(FRAME["patient"][rows]) for rows in grouped.splits.values()]
    assert sum(map(len, found)) == 30
    timed = read(of(tmp_path, **table, time="since", drop="patient"))
    assert timed.splits["test"].tolist() == list(range(96, 120))
    assert set(timed.raw.columns) == {"age", "town"}


def test_a_column_may_say_which_split_a_row_is_in(tmp_path: Path) -> None:
    split = ["train"] * 60 + ["validation"] * 40 + ["test"] * 20
    FRAME.assign(part=split).to_csv(tmp_path / "rows.csv", index=False)
    rows = read(of(tmp_path, source="csv", path="rows.csv", target="good", split="part", **DROP))
    assert rows.sizes == {"train": 60, "validation": 40, "test": 20}
    assert set(rows.raw.columns) == {"age", "town"}


def test_rows_without_a_label_are_a_mistake_unless_they_are_to_be_dropped(tmp_path: Path) -> None:
    FRAME.assign(good=[*FRAME["good"][:110], *[""] * 5, *["?"] * 5]).to_csv(
        tmp_path / "rows.csv", index=False
    )
    table = {"source": "csv", "path": "rows.csv", "target": "good", "null": {"good": "?"}, **DROP}
    ref = of(tmp_path, **table)
    with pytest.raises(BadRequest, match=r'missing in 10 of 120 rows.*unlabelled = "drop"'):
        read(ref)
    assert sum(read(of(tmp_path, **table, unlabelled="drop")).sizes.values()) == 110


# ---- Files that are none -------------------------------------------------------------------------


def pickled(path: Path) -> None:
    array = np.empty(2, object)
    array[:] = [{}, print]
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)


def npz(**arrays: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)

    return write


def cut(write: Callable[[Path], None], share: float = 0.5) -> Callable[[Path], None]:
    def made(path: Path) -> None:
        write(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return made


ARRAYS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "none": (lambda _: None, "no such file"),
    "empty": (lambda p: p.write_bytes(b""), "is no npz file"),
    "text": (lambda p: p.write_text("a,b\n1,2\n"), "is no npz file"),
    "a folder": (lambda p: p.mkdir(), "is a folder"),
    "a pipe": (os.mkfifo, "no ordinary file"),
    "a link to itself": (lambda p: p.symlink_to(p), "cannot be read"),
    "cut": (cut(npz(x=X, y=Y)), "cannot be read"),
    "pickled objects": (npz(x=np.array([{}], object), y=Y), "pickled objects"),
    "a pickle in an npy": (pickled, "is no npz file"),
    "no y": (npz(x=X), "no array 'y'"),
    "no x": (npz(a=X, y=Y), "no array 'x'. It has: 'a', 'y'"),
    "nothing in it": (npz(), "is no npz file"),
    "y of one column": (npz(x=X, y=Y[:, None]), "the shape (120, 1)"),
    "three dimensions": (npz(x=X[:, :, None], y=Y), "(rows, features)"),
    "unequal rows": (npz(x=X, y=Y[:100]), "the target has 100 rows"),
    "complex": (npz(x=X + 1j, y=Y), "complex128"),
    "texts": (npz(x=X.astype(str), y=Y), "must hold numbers"),
    "all missing": (npz(x=X * np.nan, y=Y), "has nan"),
    "infinite": (npz(x=X + np.inf, y=Y), "has inf"),
    "too large": (npz(x=X + 1e300, y=Y), "1e+300"),
    "one class": (npz(x=X, y=0 * Y), "one value only"),
    "ten classes": (npz(x=X, y=np.arange(120) % 10), 'task = "multiclass"'),
    "labels missing": (npz(x=X, y=np.where(Y == 1, 1, np.nan)), "the target is missing"),
    "three rows": (npz(x=X[:3], y=np.array([0, 1, 0])), "split has none"),
    "no rows": (npz(x=X[:0], y=Y[:0]), "no rows"),
    "a split of other names": (npz(x=X, y=Y, split=np.array(["dev"] * 120)), "'dev'"),
    "a hostile name": (npz(**{"\x1b[2J\n<b>": X, "y": Y}), r"'\x1b[2J\n<b>'"),
}


def test_rows_of_an_archive_may_have_weights(tmp_path: Path) -> None:
    npz(x=X, y=Y, weight=np.arange(120.0))(tmp_path / "rows.npz")
    found = read(of(tmp_path, source="arrays", path="rows.npz"))
    assert found.part("train").weight is not None
    npz(x=X, y=Y, weight=-np.ones(120))(tmp_path / "rows.npz")
    told = refused(of(tmp_path, source="arrays", path="rows.npz"))
    assert "the weight must be a finite number, 0 or above: row 1 has -1.0" in told


def npy(array: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=False)

    return write


def header(text: str) -> Callable[[Path], Any]:
    """An npy file whose header says something else than there is."""
    told = text.encode().ljust(117) + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(told).to_bytes(2, "little") + told + X.tobytes()
    return lambda path: path.write_bytes(data)


def gzipped(path: Path) -> None:
    npy(X)(path)
    path.write_bytes(gzip.compress(path.read_bytes())[:-9])


def sparse_file(matrix: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            sparse.save_npz(file, matrix)

    return write


def torn(path: Path) -> None:
    """A sparse matrix whose columns lie beyond its width."""
    matrix = sparse.csr_matrix(X)
    parts = {"format": b"csr", "data": matrix.data, "indices": matrix.indices + 9}
    npz(**parts, indptr=matrix.indptr, shape=np.array([120, 3]))(path)


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("notes.txt", "hello")


def endless(path: Path) -> None:
    parts = {"format": b"csr", "data": X[0], "indices": np.arange(3)}
    npz(**parts, indptr=np.array([0, 99]), shape=np.array([1, 3]))(path)


DECLARED = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"
TWO: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any], str]] = {
    "no rows file": (lambda _: None, npy(Y), "no such file"),
    "no labels file": (npy(X), lambda _: None, "no such file"),
    "both missing": (lambda _: None, lambda _: None, "y.npy: no such file"),
    "empty": (npy(X), lambda p: p.write_bytes(b""), "is no npz file"),
    "text": (npy(X), lambda p: p.write_text("0\n1\n"), "is no npz file"),
    "a byte-order mark": (lambda p: p.write_bytes(b"\xef\xbb\xbf\x93NUMPY"), npy(Y), "no npz"),
    "a folder": (npy(X), lambda p: p.mkdir(), "is a folder"),
    "a pipe": (npy(X), os.mkfifo, "no ordinary file"),
    "a link to itself": (lambda p: p.symlink_to(p), npy(Y), "cannot be read"),
    "cut": (cut(npy(X)), npy(Y), "cannot be read"),
    "cut in the header": (cut(npy(X), 0.01), npy(Y), "cannot be read"),
    "gzip that ends early": (gzipped, npy(Y), "is no npz file"),
    "a header that is code": (header("__import__('os').system('true')"), npy(Y), "cannot be read"),
    "a header that says too much": (header(DECLARED % "10**15, 3"), npy(Y), "cannot be read"),
    "a header of many rows": (header(DECLARED % f"{2**40}, 3"), npy(Y), "cannot be read"),
    "pickled labels": (npy(X), pickled, "pickled objects"),
    "pickled rows": (pickled, npy(Y), "pickled objects"),
    "labels first": (npy(Y), npy(X), "must be 0 or 1: row 1 has" ),
    "one dimension": (npy(X[:, 0]), npy(Y[:, None]), "the shape (120, 1)"),
    "a number": (npy(np.float64(3.0)), npy(Y), "the shape ()"),
    "unequal rows": (npy(X), npy(Y[:100]), "the target has 100 rows"),
    "bytes": (npy(X), npy(np.where(Y == 1, b"yes", b"no")), "must hold texts or numbers"),
    "records": (npy(np.zeros(120, "i4,f4")), npy(Y), "must"),
    "moments as labels": (npy(X), npy(Y.astype("M8[s]")), "must hold texts or numbers"),
    "infinite": (npy(np.where(X > 1, np.inf, X)), npy(Y), "has inf"),
    "missing": (npy(np.where(X > 1, np.nan, X)), npy(Y), "has nan"),
    "too large": (npy(X * 1e300), npy(Y), "no finite numbers of 32 bits"),
    "no rows": (npy(X[:0]), npy(Y[:0]), "no rows"),
    "one row": (npy(X[:1]), npy(Y[:1]), "one value only"),
    "no features": (npy(X[:, :0]), npy(Y), "no features"),
    "one class": (npy(X), npy(0 * Y), "one value only"),
    "a class of one row": (npy(X), npy(np.arange(120) // 119), "none with the label"),
    "labels in two numbers": (npy(X), npy(2 * Y - 1), "labels = [-1, 1]"),
    "an archive of many": (npz(a=X, b=X), npy(Y), "holds 2 arrays, and one is asked for"),
    "an archive of none": (npz(), npy(Y), "is no npz file"),
    "a zip of something else": (
        zipped, npy(Y), "holds 'notes.txt', which is no array"),
    "sparse and cut": (cut(sparse_file(sparse.csr_matrix(X))), npy(Y), "cannot be read"),
    "sparse beyond its width": (torn, npy(Y), "is no whole sparse matrix"),
    "sparse beyond its end": (endless, npy(Y[:1]), "cannot be read"),
    "sparse labels": (npy(X), sparse_file(sparse.csr_matrix(Y)), "target"),
    "sparse and complex": (sparse_file(sparse.csr_matrix(X + 1j)), npy(Y), "complex128"),
}  # fmt: skip


@pytest.mark.parametrize("what", TWO)
def test_two_files_that_hold_no_rows_and_labels_are_named_with_the_reason(
    tmp_path: Path, what: str
) -> None:
    rows, labels, said = TWO[what]
    rows(tmp_path / "x.npy")
    labels(tmp_path / "y.npy")
    assert said in refused(of(tmp_path, source="arrays", path=["x.npy", "y.npy"]))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("what", ARRAYS)
def test_a_file_that_holds_no_arrays_is_named_with_the_reason(tmp_path: Path, what: str) -> None:
    write, said = ARRAYS[what]
    write(tmp_path / "rows.npz")
    told = refused(of(tmp_path, source="arrays", path="rows.npz"))
    assert said in told


def test_a_header_that_lies_about_its_size_is_no_reason_to_die(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    data = (tmp_path / "x.npy").read_bytes()
    lying = data.replace(b"(120, 3)", b"(1200000000000, 3)", 1).replace(b" " * 11 + b"\n", b"\n", 1)
    (tmp_path / "x.npy").write_bytes(lying)
    assert "x.npy: cannot be read" in refused(
        of(tmp_path, source="arrays", path=["x.npy", "y.npy"])
    )


def csv(text: str | bytes) -> Callable[[Path], Any]:
    data = text.encode() if isinstance(text, str) else text
    return lambda path: path.write_bytes(data)


TABLES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "none": (lambda _: None, "no such file"),
    "empty": (csv(""), "empty"),
    "header alone": (csv("age,good\n"), ""),
    "a folder": (lambda p: p.mkdir(), "is a folder"),
    "a pipe": (os.mkfifo, "no ordinary file"),
    "no target": (csv("age,god\n" + "1,yes\n2,no\n" * 50), "Did you mean 'god'?"),
    "ragged": (csv("age,good\n" + "1,yes\n2,no\n" * 50 + "1,2,3\n"), ""),
    "binary": (csv(b"\x00\x01\x02" * 500), ""),
    "one class": (csv("age,good\n" + "1,yes\n2,yes\n" * 50), "one value only"),
    "labels missing": (csv("age,good\n" + "1,yes\n2,\n" * 50), "missing in 50 of 100 rows"),
    "one row": (csv("age,good\n1,yes\n"), "one value only"),
    "cut gzip": (csv(gzip.compress(b"age,good\n" * 9000)[:60]), ""),
    "ambiguous dates": (
        csv("day,good\n" + "".join(f"0{i % 9 + 1}/0{i % 7 + 1}/2020,{'yn'[i % 2]}\n"
                                   for i in range(200))), "formats",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TABLES)
def test_a_file_that_holds_no_table_is_refused_in_words(tmp_path: Path, what: str) -> None:
    write, said = TABLES[what]
    write(tmp_path / "rows.csv")
    assert said in refused(of(tmp_path, source="csv", path="rows.csv", target="good"))


def test_every_missing_file_is_named_at_once(tmp_path: Path) -> None:
    ref = of(tmp_path, source="csv", path=["a.csv", "b.csv"], target="good")
    with pytest.raises(BadRequest) as caught:
        ref.open().identity()
    assert len(caught.value.mistakes) == 2
