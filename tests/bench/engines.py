"""`make bench`: the packed engine against the reference engine, KerasTuner and a plain loop.

Prints Markdown. Contenders take turns, so that a change of the machine's speed shows as spread and
not as a ratio. Every contender runs in a process of its own and trains what KerasTuner drew.
"""

import argparse
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.child import call
from tests.bench.task import prepared
from tests.bench.whole import Whole, of_space, shipped

HERE = "tests.bench"
NAMES = ("packed", "fit", "KerasTuner", "plain loop")
Round = dict[str, Any]  # what each contender measured, by its name


def main() -> None:
    asked = _asked()
    folder = prepared(asked.cache)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {_cores()} cores, {memory:.0f} GiB")
    rounds, wholes, imdb = [], [], []
    for number in range(asked.rounds):
        rounds.append(_round(str(folder), asked, number))
        wholes.append(_against_loop(of_space(asked.trials, asked.epochs, folder.parent), asked))
        imdb.append(_against_loop(shipped("imdb", folder.parent), asked))
    _print_engines(rounds, asked)
    _print_whole(wholes, asked, f"{asked.trials} trials in this space")
    _print_whole(imdb, asked, "`capsearch study imdb`")
    _print_phases(call(f"{HERE}.whole:phases", name="imdb", cache=str(folder.parent)))
    _print_growth(call(f"{HERE}.growth:growth", folder=str(folder)))
    _print_memory(call(f"{HERE}.growth:memory", folder=str(folder), packs=asked.packs))
    _print_profile(call(f"{HERE}.floor:profile", folder=str(folder)))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of every contender")
    parser.add_argument("--candidates", type=int, default=6, help="drawn in every round")
    parser.add_argument("--epochs", type=int, default=6, help="of every training")
    parser.add_argument("--pack", type=int, default=32, help="of the packed engine")
    parser.add_argument("--trials", type=int, default=96, help="of a whole study")
    parser.add_argument("--share", type=int, default=5, help="the loop trains every nth of a study")
    parser.add_argument("--packs", type=int, default=50, help="for the memory over time")
    parser.add_argument("--cache", type=Path, help="prepared data, as for capsearch itself")
    return parser.parse_args()


def _round(folder: str, asked: argparse.Namespace, seed: int) -> Round:
    given = {"folder": folder, "epochs": asked.epochs}
    contend = f"{HERE}.contenders"
    tuner = call(f"{contend}:keras_tuner", count=asked.candidates, seed=seed, **given)
    given["candidates"] = tuner["candidates"]
    each = [asked.epochs] * asked.candidates
    return {
        "KerasTuner": tuner,
        "packed": call(f"{contend}:packed", pack=asked.pack, **given),
        "plain loop": call(f"{contend}:plain", **(given | {"epochs": each})),
        "fit": call(f"{contend}:fit", **given),
    }


def per_epoch(name: str, measured: Round, asked: argparse.Namespace) -> float:
    """Seconds per candidate-epoch of one round; a packed one is the median of packs."""
    if name == "packed":
        middle: float = statistics.median(measured["packs"])
        return middle / float(asked.pack * asked.epochs)
    seconds: float = measured["seconds"]
    return seconds / float(asked.candidates * asked.epochs)


def _print_engines(rounds: Sequence[Round], asked: argparse.Namespace) -> None:
    print(f"\n## Engines: {asked.rounds} rounds of {asked.candidates} candidates, "
          f"{asked.epochs} epochs\n")  # fmt: skip
    rows = []
    for name in NAMES:
        each = [per_epoch(name, r[name], asked) for r in rounds]
        against = [_ratio(r, name, asked) for r in rounds]
        later = [s for r in rounds for s in r[name].get("epochs", [])]
        peak = max(r[name]["peak"] for r in rounds)
        rows.append([
            name, _ms(each), _ms(later) if later else "", f"{peak:,.0f} MiB",
            f"{1 / statistics.median(each):.2f}", _spread(against, "{:.1f}"),
        ])  # fmt: skip
    heads = ["engine", "ms per candidate-epoch", "an epoch after the first", "peak memory",
             "candidate-epochs/s", "times KerasTuner's speed"]  # fmt: skip
    _table(heads, rows)
    first = [r["packed"]["first"] / asked.pack / asked.epochs for r in rounds]
    print(f"\nThe first pack of a process, which also plans the batches: {_ms(first)} ms.")
    later = [
        statistics.median(r["KerasTuner"]["epochs"]) / per_epoch("packed", r["packed"], asked)
        for r in rounds
    ]
    print(f"\nAgainst KerasTuner's epochs after the first alone, without building or tracing, the "
          f"packed engine is {_spread(later, '{:.1f}')} times as fast.")  # fmt: skip


def _ratio(measured: Round, name: str, asked: argparse.Namespace) -> float:
    tuner = per_epoch("KerasTuner", measured["KerasTuner"], asked)
    return tuner / per_epoch(name, measured[name], asked)


def _against_loop(whole: Whole, asked: argparse.Namespace) -> tuple[Whole, float]:
    """A study, and the seconds of the plain loop for the same trainings and epochs.

    The loop trains every nth of them, smallest network first, right after the study ended. Its
    start-up counts once; the rest is scaled by the epochs, since nearly all of its time is epochs.
    """
    part = slice(asked.share // 2, None, asked.share)
    candidates, epochs = whole.candidates[part], whole.epochs[part]
    plain = call(
        f"{HERE}.contenders:plain", folder=str(prepared(asked.cache)), epochs=epochs,
        candidates=[c.as_dict() for c in candidates],
    )  # fmt: skip
    startup = plain["process_seconds"] - plain["seconds"]
    return whole, startup + plain["seconds"] * sum(whole.epochs) / sum(epochs)


def _print_whole(
    wholes: Sequence[tuple[Whole, float]], asked: argparse.Namespace, what: str
) -> None:
    print(f"\n## Whole study: {what}, start to report\n")
    rows = []
    for whole, loop in wholes:
        rows.append([
            f"{len(whole.epochs)}", f"{sum(whole.epochs):,}", f"{whole.seconds:.1f} s",
            f"{whole.training:.1f} s", f"{loop:,.0f} s", f"1/{loop / whole.seconds:.1f}",
            f"{whole.peak:,.0f} MiB",
        ])  # fmt: skip
    heads = ["trainings", "epochs in all", "capsearch", "of it training",
             "plain loop", "ratio", "largest process"]  # fmt: skip
    _table(heads, rows)
    print("\n'Training' is what all threads spent in networks, divided by the cores. The loop "
          f"trained every {asked.share}th of these trainings for its epochs.")  # fmt: skip


def _print_phases(measured: dict[str, Any]) -> None:
    print("\n## Where the time of that study goes, run once more, seconds\n")
    seen = measured["phases"]
    start = measured["process_seconds"] - sum(seconds for _, seconds in seen)
    seen = [("start and imports", start), *seen]
    _table([name for name, _ in seen], [[f"{seconds:.1f}" for _, seconds in seen]])


def _print_growth(measured: dict[str, Any]) -> None:
    for what in [name for name in measured if isinstance(measured[name], list)]:
        print(f"\n## Packed engine: ms per candidate-epoch by {what}\n")
        cells = measured[what]
        _table([f"{value:,}" for value, _ in cells], [[_ms(taken) for _, taken in cells]])


def _print_memory(measured: dict[str, Any]) -> None:
    print("\n## Packed engine: resident MiB after so many packs of 32\n")
    seen = measured["resident"]
    _table([str(n) for n, _ in seen], [[f"{mib:,.0f}" for _, mib in seen]])


def _print_profile(measured: dict[str, Any]) -> None:
    print("\n## Packed engine: where an epoch goes, ms per candidate-epoch on all threads\n")
    mix, usual = measured["mix"], measured["16-16"]
    rows = [
        [part, f"{1e3 * mix[part]:.2f}", f"{mix[part] / mix['together']:.0%}",
         f"{1e3 * usual[part]:.2f}", f"{usual[part] / usual['together']:.0%}"]
        for part in mix
    ]  # fmt: skip
    _table(["part", "mix", "", "16-16", ""], rows)
    floors = measured["bytes"], measured["bandwidth"]
    streamed, gathered = floors[0]["streamed"], floors[0]["gathered"]
    memory, cached = floors[1]["memory"], floors[1]["cache"]
    print(f"\nAn epoch at 16 units streams {streamed / 1e6:.0f} MB and gathers "
          f"{gathered / 1e6:.0f} MB. All threads together read {memory / 1e9:.1f} GB/s from memory "
          f"and {cached / 1e9:.1f} GB/s from 640 KB each. Floors: {1e3 * streamed / memory:.2f} ms "
          f"if all that is streamed came from memory, {1e3 * gathered / cached:.2f} ms for "
          "gathering from the cache.")  # fmt: skip


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _ms(seconds: Sequence[float]) -> str:
    return _spread([1e3 * s for s in seconds], "{:,.1f}")


def _spread(values: Sequence[float], form: str) -> str:
    """Median (least to most)."""
    least, most, middle = min(values), max(values), statistics.median(values)
    return f"{form} ({form}-{form})".format(middle, least, most)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for cells in (heads, ["---"] * len(heads), *rows):
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
