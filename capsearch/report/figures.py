"""The figures of the report, as SVG text. The same record gives the same bytes."""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from capsearch.records import StudyRecord, Trial
from capsearch.report.overfit import Overfit, baselines
from capsearch.selection import judge_of, judged
from capsearch.words import network

# Okabe and Ito (2008): told apart by readers with any colour vision.
BLUE, ORANGE, GREEN, GREY, RED = "#0072B2", "#D55E00", "#007A5E", "#8A8F98", "#CC3311"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "capsearch",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6b7280",
    "axes.labelcolor": "#1f2937",
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "legend.frameon": False,
    "text.parse_math": False,  # a name with a dollar sign is no formula
}


def capacity_curve(record: StudyRecord) -> str:
    """Mean validation loss of the finalists against their size, with the choice marked."""
    with mpl.rc_context(STYLE):
        figure, axes = _figure(8.6, 4.6)
        sizes = np.array([e.parameters for e in record.estimates], float)
        means = np.array([e.mean for e in record.estimates])
        errors = np.array([e.se for e in record.estimates])
        outside = _scatter_trials(axes, judged(record), means, errors)
        axes.fill_between(
            sizes, means - errors, means + errors, color=BLUE, alpha=0.16, lw=0,
            label="± one standard error",
        )  # fmt: skip
        axes.plot(sizes, means, "-o", color=BLUE, ms=5, label="finalists, mean of fresh-seed runs")
        best, chosen = record.choice.best, record.choice.selected
        if record.choice.rule == "one_std_err":
            axes.axhline(best.mean + best.se, color=GREY, ls="--", lw=1.1)
            axes.annotate(
                "best + one standard error", (1, best.mean + best.se),
                xycoords=("axes fraction", "data"), xytext=(0, 4), textcoords="offset points",
                ha="right", color="#4b5563", fontsize=9,
                bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1},
            )  # fmt: skip
        axes.plot(best.parameters, best.mean, "s", color=BLUE, ms=10, mfc="none", mew=1.8,
                  label=f"best: {network(best.candidate.units)}")  # fmt: skip
        axes.plot(chosen.parameters, chosen.mean, "*", color=ORANGE, ms=19, mec="white",
                  label=f"selected: {network(chosen.candidate.units)}")  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: _short(v)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("parameters (log scale)")
        axes.set_ylabel(f"validation {judge_of(record).noun}")
        if outside:
            are = "trial is" if outside == 1 else "trials are"
            axes.text(0.995, 0.97, f"{outside} {are} above the top of this chart", fontsize=9,
                      ha="right", va="top", transform=axes.transAxes, color="#4b5563")  # fmt: skip
        figure.legend(loc="outside upper left", fontsize=9, ncols=3)
        return _svg(figure)


def overfit_pair(pair: Sequence[Overfit]) -> str:
    """Validation loss per epoch, mean over seeds: the first network crosses, the second dots.

    Every seed is a faint line. A mean ends where the first of its seeds does.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _figure(8.6, 4.2)
        for one, marker, colour in zip(pair, ("x", "o"), (RED, BLUE), strict=True):
            series = [curve.val_loss for curve in one.curves]
            for losses in series:
                axes.plot(range(1, len(losses) + 1), losses, "-", color=colour, lw=1.0, alpha=0.4)
            mean, best = _mean(series), one.epoch.mean
            epochs = range(1, len(mean) + 1)
            label = (
                f"{one.name}: {network(one.candidate.units)}, {one.parameters:,} parameters; "
                f"best epoch {best:.1f}".removesuffix(".0")
            )
            axes.plot(
                epochs, mean, "-" + marker, color=colour, ms=6.5, mew=1.9, lw=1.2, label=label
            )
            axes.axvline(best, color=colour, ls=":", lw=1.2)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation loss")
        axes.set_ylim(*_without_start([c.val_loss for one in pair for c in one.curves]))
        figure.legend(loc="outside upper left", fontsize=9)
        return _svg(figure)


def seeds_of_choice(record: StudyRecord) -> str:
    """Training and validation loss of the selected network: a thin line a seed, means bold."""
    with mpl.rc_context(STYLE):
        figure, axes = _figure(8.6, 3.8)
        chosen = record.choice.selected.candidate
        runs = [t.outcome for t in record.replicates if t.candidate == chosen and t.outcome]
        curves = [o.curve for o in runs if o.complete]
        for series, colour, label in (
            ([c.loss for c in curves], GREY, "training, dropout active"),
            ([c.val_loss for c in curves], ORANGE, "validation"),
        ):
            for losses in series:
                axes.plot(range(1, len(losses) + 1), losses, color=colour, lw=0.9, alpha=0.5)
            mean = _mean(series)
            axes.plot(range(1, len(mean) + 1), mean, color=colour, lw=2.2, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.legend(loc="upper right", fontsize=9)
        return _svg(figure)


def _scatter_trials(axes: Axes, record: StudyRecord, means: np.ndarray, errors: np.ndarray) -> int:
    """Every trial as a faint dot, the axis fitted to what matters; returns how many lie above."""
    done = [t for t in record.trials if t.group == "search" and t.outcome and t.outcome.complete]
    losses = np.array([_mean_score(t) for t in done])
    usual = np.quantile(losses, (0.0, 0.6)) if done else means
    low = min((means - errors).min(), usual.min())
    high = max((means + errors).max(), usual.max())
    pad = max(high - low, 1e-6)
    axes.plot(
        [t.parameters for t in done], losses, ".", color=GREY, ms=7, alpha=0.65, lw=0,
        label="search trials, one run each",
    )  # fmt: skip
    fresh = [o for o in baselines(record) if o.loss]
    if fresh:
        axes.plot(
            [o.parameters for o in fresh], [o.loss.mean for o in fresh if o.loss], "D", color=GREEN,
            ms=5, alpha=0.8, lw=0, label="baselines, mean of fresh-seed runs",
        )  # fmt: skip
    top = high + 0.12 * pad
    axes.set_ylim(low - 0.08 * pad, top)
    return int((losses > top).sum())


def _mean_score(trial: Trial) -> float:
    """Of a completed trial's validation rows."""
    assert trial.outcome is not None
    assert trial.outcome.val_losses is not None
    return float(trial.outcome.val_losses.mean(dtype=np.float64))


def _mean(series: Sequence[Sequence[float]]) -> np.ndarray:
    """Over seeds, as far as all of them were trained."""
    shortest = min(map(len, series))
    mean: np.ndarray = np.mean([losses[:shortest] for losses in series], axis=0)
    return mean


def _without_start(series: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Bounds that show the turns and all that follows; early epochs may run out of the top."""
    low = min(map(min, series))
    high = max(*(losses[-1] for losses in series), min(losses[0] for losses in series))
    pad = 0.06 * (high - low) or 1e-3
    return low - pad, high + pad


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    """The bare <svg> element, sized by its box."""
    FigureCanvasSVG(figure)
    held = io.StringIO()
    figure.savefig(held, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = held.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'width="100%"', text, count=1)


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if value >= 1e3 else f"{value:g}"
