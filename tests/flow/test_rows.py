"""Whole studies of a CSV file: weights count everywhere, and what test rows alone tell nowhere.

Every loss is worked out again from what `capsearch predict` says of the rows.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]

STUDY = """
[data]
source = "csv"
path = "rows.csv"
target = "bought"
split = "part"
{said}
[space]
layers = {{ low = 0, high = 1 }}
units = {{ low = 1, high = 8, log = true }}
learning_rate = {{ low = 1e-2, high = 1e-1, log = true }}
[training]
epochs = 12
patience = 3
batch_size = 32
[search]
trials = 6
rungs = 2
[select]
replicates = 2
"""
ROWS, TEST = 600, 150
RNG = np.random.default_rng(2)
A, B = RNG.normal(size=ROWS), RNG.normal(size=ROWS)
BOUGHT = A + B + RNG.normal(size=ROWS) > 0.8
WEIGHT = np.where(RNG.random(ROWS) < 0.5, 0.25, 4.0)
PART = np.repeat(["train", "validation", "test"], [ROWS - 2 * TEST, TEST, TEST])
TESTED = PART == "test"
NOISE = RNG.integers(0, 2, ROWS)


def study(folder: Path, said: str, told: np.ndarray = NOISE) -> dict[str, Any]:
    """The document of a study of these rows; `told` is one of their columns."""
    folder.mkdir()
    columns = {"a": A.round(4), "b": B.round(4), "weight": WEIGHT, "told": told, "part": PART}
    columns |= {"bought": np.where(BOUGHT, "yes", "no")}
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    (folder / "mine.toml").write_text(STUDY.format(said=said))
    document: dict[str, Any] = json.loads(capsearch(folder, "study", "mine.toml", "--json"))
    return document


def capsearch(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "capsearch", *arguments], cwd=folder,
        env=os.environ | {"CAPSEARCH_CACHE": str(folder / "cache")},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def losses(folder: Path) -> np.ndarray:
    """Of each test row, in nats, from the probabilities that the kept model gives."""
    answers = list(csv.DictReader(capsearch(folder, "predict", "mine", "rows.csv").splitlines()))
    yes = np.array([float(answer["probability_yes"]) for answer in answers])
    found: np.ndarray = -np.log(np.where(BOUGHT, yes, 1 - yes))[TESTED]
    return found


def mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(values, weights=weights))


def test_row_weights_count_in_training_choice_and_test(tmp_path: Path) -> None:
    plain = study(tmp_path / "plain", 'drop = ["weight", "told"]')
    equal = study(tmp_path / "equal", 'drop = ["told"]\nweight = "weight"')
    mine = losses(tmp_path / "equal")
    assert equal["test"]["loss"] == pytest.approx(mean(mine, WEIGHT[TESTED]), abs=2e-5)
    assert equal["test"]["loss"] != pytest.approx(mine.mean(), abs=1e-3)
    assert plain["test"]["loss"] == pytest.approx(losses(tmp_path / "plain").mean(), abs=2e-5)
    assert equal["selected"]["val_loss"] != plain["selected"]["val_loss"]
    assert "weight" not in equal["model"]["columns"]


def test_class_weights_count_in_training_choice_and_test(tmp_path: Path) -> None:
    found = study(tmp_path / "balanced", 'drop = ["weight", "told"]\nclass_weights = "balanced"')
    share = BOUGHT[PART == "train"].mean()
    assert share < 0.4
    weights = np.where(BOUGHT, 0.5 / share, 0.5 / (1 - share))[TESTED]
    told = losses(tmp_path / "balanced")
    assert found["test"]["loss"] == pytest.approx(mean(told, weights), abs=2e-5)
    assert found["test"]["loss"] != pytest.approx(told.mean(), abs=1e-3)


def test_a_label_that_test_rows_alone_tell_changes_no_choice_and_gains_nothing(
    tmp_path: Path,
) -> None:
    """The column is noise to every row that is trained on or chosen by."""
    plain = study(tmp_path / "plain", 'drop = ["weight"]')
    leaky = study(tmp_path / "leaky", 'drop = ["weight"]', np.where(TESTED, BOUGHT, NOISE))
    assert leaky["selected"] == plain["selected"]
    assert leaky["model"]["columns"] == ["a", "b", "told"]
    told = losses(tmp_path / "leaky")
    assert leaky["test"]["loss"] == pytest.approx(told.mean(), abs=2e-5)
    assert abs(leaky["test"]["loss"] - plain["test"]["loss"]) < 0.05
