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
        outside = _scatter_trials(axes, record, means, errors)
        axes.fill_between(
            sizes, means - errors, means + errors, color=BLUE, alpha=0.16, lw=0,
            label="± one standard error",
        )  # fmt: skip
        axes.plot(sizes, means, "-o", color=BLUE, ms=5, label="finalists, mean of fresh seeds")
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
                  label=f"best: {best.candidate.label}")  # fmt: skip
        axes.plot(chosen.parameters, chosen.mean, "*", color=ORANGE, ms=19, mec="white",
                  label=f"selected: {chosen.candidate.label}")  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: _short(v)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("parameters (log scale)")
        axes.set_ylabel("validation loss")
        if outside:
            axes.text(0.995, 0.97, f"{outside} trials lie above the picture", fontsize=9,
                      ha="right", va="top", transform=axes.transAxes, color="#4b5563")  # fmt: skip
        figure.legend(loc="outside upper left", fontsize=9, ncols=3)
        return _svg(figure)


def overfit_pair(pair: Sequence[tuple[str, Trial]]) -> str:
    """Validation loss per epoch: the first network as crosses, the second as dots."""
    with mpl.rc_context(STYLE):
        figure, axes = _figure(8.6, 4.0)
        for (name, trial), marker, colour in zip(pair, ("x", "o"), (RED, BLUE), strict=True):
            assert trial.outcome is not None  # the pair holds completed trials only
            losses, best = trial.outcome.curve.val_loss, trial.outcome.best_epoch
            epochs = range(1, len(losses) + 1)
            label = f"{name} ({trial.candidate.label}, {trial.parameters:,} parameters)"
            axes.plot(epochs, losses, marker, color=colour, ms=6.5, mew=1.9, label=label)
            axes.plot(epochs, losses, "-", color=colour, lw=0.8, alpha=0.35)
            axes.axvline(best, color=colour, ls=":", lw=1.2)
            axes.annotate(
                f"lowest at epoch {best}", (best, losses[best - 1]), xytext=(6, -16),
                textcoords="offset points", color=colour, fontsize=9,
            )  # fmt: skip
        axes.margins(y=0.18)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation loss")
        axes.legend(loc="upper right", fontsize=9)
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
            mean = np.mean([losses[: min(map(len, series))] for losses in series], axis=0)
            axes.plot(range(1, len(mean) + 1), mean, color=colour, lw=2.2, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.legend(loc="upper right", fontsize=9)
        return _svg(figure)


def _scatter_trials(axes: Axes, record: StudyRecord, means: np.ndarray, errors: np.ndarray) -> int:
    """Every trial as a faint dot, the axis fitted to what matters; returns how many lie above."""
    done = [t for t in record.trials if t.outcome and t.outcome.complete]
    losses = np.array([t.outcome.val_loss for t in done if t.outcome])
    low = min((means - errors).min(), losses.min())
    high = max((means + errors).max(), float(np.quantile(losses, 0.6)))
    pad = max(high - low, 1e-6)
    for group, marker, colour, label in (
        ("search", ".", GREY, "search trials, one seed"),
        ("baseline", "D", GREEN, "baselines, one seed"),
    ):
        mine = [t for t in done if t.group == group]
        if mine:
            axes.plot(
                [t.parameters for t in mine], [t.outcome.val_loss for t in mine if t.outcome],
                marker, color=colour, ms=7 if marker == "." else 5, alpha=0.65, lw=0, label=label,
            )  # fmt: skip
    top = high + 0.12 * pad
    axes.set_ylim(low - 0.08 * pad, top)
    return int((losses > top).sum())


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
