"""What a person sees in the terminal: progress while a study runs, and its result. All on stderr.

On a terminal the progress is one live line; elsewhere (cron, a log collector) it is a plain line
for each phase and each tenth of it.
"""

import time
from collections.abc import Sequence
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from capsearch.probe import Probe
from capsearch.records import DataProfile, Estimate, StudyRecord, Trial
from capsearch.storage import StudyRow

PHASES = ("reading the data", "search", "replicates", "sealed test", "report")
TRAINING = ("search", "replicates")


class Progress:
    """Names the phase, the trials done, the best so far and the time left in the phase."""

    def __init__(self, console: Console, study: str) -> None:
        self._console, self._study = console, study
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._phase, self._done, self._total, self._failed = "starting", 0, 0, 0
        self._began = time.monotonic()
        self._first: float | None = None  # when the first trial of this phase was *trained*
        self._known = 0  # trials of this phase that were stored before it began
        self._best: Trial | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def phase(self, name: str, total: int = 0, done: int = 0) -> None:
        self._close_phase()
        self._phase, self._done, self._total, self._failed = name, done, total, 0
        self._began, self._known = time.monotonic(), 0
        if not self._console.is_terminal:
            size = f": {total} trainings" if total else ""
            self._console.print(f"{self._study}: {name}{size}", highlight=False)
        self._refresh()

    def trial(self, trial: Trial) -> None:
        self._done += 1
        if time.monotonic() - self._began < 0.5:
            self._known = self._done  # read back, not trained: says nothing about speed
        outcome = trial.outcome
        if outcome is None or not outcome.complete:
            self._failed += 1
        elif trial.group != "replicate" and (self._best is None or outcome.val_loss < self._loss()):
            self._best = trial
        tenth = max(self._total // 10, 1)
        if not self._console.is_terminal and self._done % tenth == 0:
            self._console.print(self._line(), highlight=False, soft_wrap=True)
        self._refresh()

    def warn(self, message: str) -> None:
        self._console.print(f"[yellow]warning:[/] {escape(message)}", highlight=False)

    def note(self, message: str) -> None:
        self._console.print(escape(message), highlight=False)

    def result(self, result: Any) -> None:
        record, document, worked = result.record, result.document, result.worked
        self._close_phase()
        self._live.stop()
        if not worked:
            self._console.print("Nothing to do: this study is complete.")
        show_result(self._console, record, document["report"])

    def _close_phase(self) -> None:
        """Leave one line behind for each finished phase of training."""
        if self._console.is_terminal and self._phase in TRAINING:
            self._console.print(Text.assemble(("✓ ", "green"), self._line(ended=True)))

    def _refresh(self) -> None:
        if self._console.is_terminal:
            place = PHASES.index(self._phase) + 1 if self._phase in PHASES else 0
            self._live.update(Text(f"[{place}/{len(PHASES)}] {self._line()}", overflow="ellipsis"))

    def _line(self, *, ended: bool = False) -> str:
        parts = [self._phase]
        if self._total:
            parts.append(f"{self._done}/{self._total}")
            if self._failed:
                parts.append(f"{self._failed} failed")
            if self._best is not None:
                parts.append(f"best {self._loss():.4f} ({self._best.candidate.label})")
            parts.append(_clock(time.monotonic() - self._began) if ended else self._left())
        return " · ".join(part for part in parts if part)

    def _left(self) -> str:
        trained = self._done - self._known
        if not trained or self._done >= self._total:
            return ""
        each = (time.monotonic() - self._began) / trained
        return f"{_clock(each * (self._total - self._done))} left"

    def _loss(self) -> float:
        assert self._best is not None
        assert self._best.outcome is not None
        return self._best.outcome.val_loss


def show_result(console: Console, record: StudyRecord, report: str) -> None:
    """The frontier, the choice and why, and the test score with its interval."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("layers")
    for name in ("parameters", "validation loss", "L1", "L2", "dropout", "rate"):
        table.add_column(name, justify="right")
    table.add_column("")
    for point in record.estimates:
        table.add_row(*_row(point), _marks(point, record), style=_style(point, record))
    console.print(f"\n[bold]{escape(record.study.name)}[/]: mean of fresh seeds ± standard error")
    console.print(table)
    chosen, test = record.choice.selected, record.test
    console.print(
        f"\n[bold green]Selected[/] {chosen.candidate.label}, {chosen.parameters:,} parameters "
        f"({record.choice.rule}): {escape(record.choice.reason)}.",
        highlight=False,
    )
    console.print(
        f"[bold]Test[/] accuracy {test.accuracy:.4f} ({test.accuracy_low:.4f} to "
        f"{test.accuracy_high:.4f}), loss {test.loss:.4f} ({test.loss_low:.4f} to "
        f"{test.loss_high:.4f}); {test.rows:,} rows, 95 % intervals. Opened once, "
        f"{test.opened_at}{_others(record)}.",
        highlight=False,
    )
    console.print(_how_sure(record), highlight=False)
    if record.cut:
        console.print(f"[yellow]Note[/] {escape(record.cut)}.", highlight=False)
    for check in record.warnings:
        console.print(f"[yellow]{check.code}[/] {escape(check.sentence)}.", highlight=False)
    console.print(
        f"[bold]Report[/] {escape(report)}  ({_clock(record.seconds)} in all)", highlight=False
    )


def show_data(console: Console, profile: DataProfile) -> None:
    """Sizes, balance, fingerprints, and what the splits share."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("split", "rows", "positive", "fingerprint"):
        table.add_column(name, justify="right" if name in ("rows", "positive") else "left")
    for split, rows in profile.sizes.items():
        share = f"{profile.balance[split]:.1%}"
        table.add_row(split, f"{rows:,}", share, profile.fingerprints[split][:16])
    console.print(
        f"[bold]{escape(profile.source)}[/]: {profile.features:,} features", highlight=False
    )
    console.print(table)
    for pair, count in profile.duplicates.items():
        console.print(f"rows shared by {pair}: {count}", highlight=False)


def show_studies(console: Console, shipped: Sequence[str], rows: Sequence[StudyRow]) -> None:
    """The studies that can be named, then those in the storage."""
    console.print(f"[bold]Studies[/] {', '.join(shipped)}", highlight=False)
    if not rows:
        console.print("Nothing has been run here yet: [bold]capsearch study imdb[/]")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("study", "started", "state", "time", "selected"):
        table.add_column(name)
    for row in rows:
        chosen = row.document["selected"] if row.document else None
        layers = "-".join(map(str, chosen["units"])) or "linear" if chosen else ""
        selected = f"{layers}, {chosen['parameters']:,} parameters" if chosen else ""
        state = "complete" if row.document else "started"
        started = row.started_at[:16].replace("T", " ")
        table.add_row(row.key, started, state, _clock(row.seconds), selected)
    console.print(table)


def show_probe(console: Console, study: str, probe: Probe) -> None:
    """What each size learned by heart, and what the numbers mean."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("layers")
    for name in ("parameters", "learned by heart", "lowest to highest", "accuracy"):
        table.add_column(name, justify="right")
    for size in probe.sizes:
        more = "≥ " if size.unfinished else ""
        table.add_row(
            size.candidate.label,
            f"{size.parameters:,}",
            f"{more}{size.mean:.1%}",
            f"{min(size.learned):.1%} to {max(size.learned):.1%}",
            f"{sum(size.accuracy) / len(size.accuracy):.4f}",
            style="bold green" if size == probe.smallest else "",
        )
    console.print(
        f"\n[bold]{escape(study)}[/]: {probe.rows:,} training rows, labels shuffled; chance "
        f"{probe.chance:.4f}, all learned {probe.reachable:.4f}",
        highlight=False,
    )
    console.print(table)
    found, said = probe.smallest, f"of the labels by heart, in at most {probe.epochs} epochs."
    if found is None:
        console.print(f"\nNo size learns 99 % {said}", highlight=False)
    else:
        named = f"[bold]{found.candidate.label}[/] ({found.parameters:,} parameters)"
        start = f"{named} is the smallest that learns"
        if found == probe.sizes[0]:
            start = f"Even the smallest size tried, {named}, learns"
        console.print(
            f"\n{start} 99 % {said} From this size on a network can fit its training rows "
            "whatever their labels say, so how well it fits them proves nothing.",
            highlight=False,
        )
    if any(size.unfinished for size in probe.sizes):
        console.print("≥: still learning when training ended; see --epochs.", highlight=False)


def _row(point: Estimate) -> tuple[str, ...]:
    c = point.candidate
    return (
        c.label,
        f"{point.parameters:,}",
        f"{point.mean:.4f} ± {point.se:.4f}",
        f"{c.l1:.0e}" if c.l1 else "-",
        f"{c.l2:.0e}" if c.l2 else "-",
        f"{c.dropout:.2f}" if c.dropout else "-",
        f"{c.learning_rate:.4f}",
    )


def _marks(point: Estimate, record: StudyRecord) -> str:
    """At most 11 letters: the table has 80 columns."""
    if point == record.choice.selected:
        return "sel. = best" if point == record.choice.best else "selected"
    return "best" if point == record.choice.best else ""


def _style(point: Estimate, record: StudyRecord) -> str:
    return "bold green" if point == record.choice.selected else ""


def _how_sure(record: StudyRecord) -> str:
    uncertainty = record.uncertainty
    share = f"{100 * uncertainty.stability:.0f} % of {uncertainty.resamples:,}"
    said = f"[bold]Doubt[/] {share} resamples choose the same"
    if record.choice.selected == record.choice.best:
        return f"{said} network, the best itself."
    return (
        f"{said} network; against the best it costs {uncertainty.loss_increase:.4f} nats "
        f"({uncertainty.loss_increase_low:.4f} to {uncertainty.loss_increase_high:.4f}, 95 %)."
    )


def _others(record: StudyRecord) -> str:
    others = record.test.openings - 1
    return f"; other studies opened this split {others} times" if others else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
