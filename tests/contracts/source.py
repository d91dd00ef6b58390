"""What every source keeps: subclass `SourceContract` and say the `[data]` table of a small one."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import sparse

from capsearch.data import border, cache, material
from capsearch.data.source import SourceRef, installed


class SourceContract:
    """The source of `table`, which has both classes in every split."""

    table: ClassVar[dict[str, Any]]

    @pytest.fixture
    def ref(self) -> SourceRef:
        return SourceRef(self.table)

    def test_it_comes_through_the_same_door_as_a_strangers(self, ref: SourceRef) -> None:
        assert ref.name in installed()

    def test_its_identity_is_a_text_that_stays(self, ref: SourceRef) -> None:
        first, second = (ref.open().identity() for _ in range(2))
        assert first == second
        assert type(first) is str
        assert 8 <= len(first) <= 64  # a column of the storage

    def test_what_it_gives_passes_the_border_and_is_the_same_again(self, ref: SourceRef) -> None:
        first, second = (border.checked(ref.open().read()) for _ in range(2))
        assert list(first.columns) == list(second.columns)
        for name, values in first.columns.items():
            assert values.shape == second.columns[name].shape
        assert first.target.tolist() == second.target.tolist()

    def test_every_row_is_in_one_split_and_no_equal_row_in_two_that_the_house_made(
        self, ref: SourceRef
    ) -> None:
        rows = material.read(ref.open(), ref.name, ref.options())
        numbers = np.concatenate([np.asarray(part) for part in rows.splits.values()])
        assert sorted(numbers.tolist()) == list(range(len(rows.y)))
        if rows.raw.group is None and rows.raw.time is None:
            assert rows.duplicates.get("train/validation", 0) == 0
            if rows.raw.split is None:
                assert set(rows.duplicates.values()) <= {0}

    def test_its_rows_are_prepared_the_same_way_twice(self, ref: SourceRef, tmp_path: Path) -> None:
        found = [
            cache.prepare(ref.open(), ref.name, tmp_path / place, ref.options())
            for place in ("one", "two")
        ]
        assert found[0].key == found[1].key
        assert found[0].profile == found[1].profile
        data, profile = cache.load(found[0].folder), found[0].profile
        assert bool(data.folds) == bool(profile.folds)
        parts = {"train": data.train}
        if not data.folds:
            parts["validation"] = data.validation
        for name, rows in parts.items():
            assert rows.x.dtype == rows.y.dtype == np.float32
            values = rows.x.data if sparse.issparse(rows.x) else rows.x
            assert np.isfinite(np.asarray(values)).all()
            assert set(np.unique(rows.y)) == {0.0, 1.0}
            assert profile.sizes[name] == len(rows)
            assert profile.balance[name] == pytest.approx(float(rows.y.mean()))
            assert profile.features == rows.x.shape[1]
        assert set(profile.fingerprints) - {"test"} == set(parts)
