"""How large a search suits a table: networks that its rows can teach, trials that they allow."""

from dataclasses import dataclass

TRAINED = 0.6  # of the rows


@dataclass(frozen=True)
class Size:
    """What a study file is written with."""

    layers: int
    units: int
    trials: int
    rungs: int
    batch_size: int
    epochs: int
    patience: int
    usual: tuple[int, ...]
    small: tuple[int, ...]


def size_for(rows: int, features: int) -> Size:
    """By the number of training rows, about.

    A batch is a hundredth of them, so that an epoch has some hundred steps; fewer rows need more
    epochs to take as many. The widest layer has at most one unit for 10 rows.
    """
    trained = max(int(rows * TRAINED), 1)
    batch = min(max(_power_of_two(trained / 100), 16), 512)
    epochs = 40 if trained >= 20_000 else 100 if trained >= 2_000 else 200
    units = min(max(_power_of_two(trained / 10), 16), 256)
    rungs = 8 if units >= 256 else 6 if units >= 64 else 5
    usual = min(units // 2, 64)
    return Size(
        layers=3 if trained >= 2_000 else 2,
        units=units,
        trials=12 * rungs,
        rungs=rungs,
        batch_size=batch,
        epochs=epochs,
        patience=max(epochs // 10, 4),
        usual=(usual, usual),
        small=(4, 4) if features else (4,),
    )


def _power_of_two(number: float) -> int:
    """The power of two below a number: 100 gives 64."""
    return 1 << max(int(number).bit_length() - 1, 0)
