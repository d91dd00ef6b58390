"""What is measured: the data, the space and the candidates, the same for every contender."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from capsearch import reader
from capsearch.data import cache
from capsearch.data.source import SearchData, SourceRef
from capsearch.records import Candidate, Job

DATA: dict[str, Any] = {
    "source": "imdb", "vocabulary": 10_000, "validation": 0.2, "test": 0.2, "seed": 0,
}  # fmt: skip
LAYERS = (1, 2, 3)
UNITS = (4, 8, 16, 32, 64)
L1, L2 = (1e-8, 1e-3), (1e-8, 1e-2)  # on a log scale
DROPOUT = (0.0, 0.6)
BATCH_SIZE, LEARNING_RATE = 512, 1e-3
WIDEST, RATES = 256, (3e-4, 3e-2)  # of the shipped IMDB study


def prepared(root: Path | None) -> Path:
    """The folder of the prepared rows: 15,000 to train on and 5,000 to validate with."""
    return reader.prepare(SourceRef(DATA), root or cache.default_root()).folder


def dense(data: SearchData) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and validation rows as users of other tools hold them: 800 MB of float32."""
    x, x_validation = (
        sparse.csr_matrix(rows.x).toarray() for rows in (data.train, data.validation)
    )
    return x, data.train.y, x_validation, data.validation.y


def drawn(count: int, seed: int) -> list[Candidate]:
    """Candidates of the space, each dimension uniform on its scale."""
    rng = np.random.default_rng(seed)

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return [
        Candidate(
            units=tuple(int(rng.choice(UNITS)) for _ in range(rng.choice(LAYERS))),
            l1=log_uniform(*L1),
            l2=log_uniform(*L2),
            dropout=float(rng.uniform(*DROPOUT)),
        )
        for _ in range(count)
    ]


def jobs_of(candidates: Sequence[Candidate], epochs: int, seed: int = 0) -> list[Job]:
    """Jobs that no early stopping ends, on batches of one order."""
    return [
        Job(candidate, 1000 * seed + number, shuffle_seed=1, epochs=epochs, patience=epochs)
        for number, candidate in enumerate(candidates)
    ]
