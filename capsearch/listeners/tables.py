"""What commands show people when they are done, on stderr: tables, and what the numbers mean."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote
from statistics import fmean
from textwrap import fill
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from capsearch.families.dense import common_settings
from capsearch.kept.usage import three_lines
from capsearch.probe import ALL, Probe
from capsearch.records import DataProfile, StudyRecord
from capsearch.report import facts
from capsearch.selection import judge_of, shown
from capsearch.storage import StudyRow
from capsearch.tasks import task_of
from capsearch.tasks.words import cut_at, listed, score_of, target_cells, target_columns
from capsearch.words import clock, minute, network, plain

WIDTH = 15  # of "0.2720 ± 0.0074": what heads such a column is no wider

if TYPE_CHECKING:  # the driver does not need it
    from capsearch.dry_run import Estimate as DryRun


def show_result(
    console: Console, record: StudyRecord, report: str, model: Mapping[str, Any] | None = None
) -> None:
    """The finalists, the choice and why, the test score with its interval, and what to check.

    Then where the report and the model are, and how that is used.
    """
    marks = {"selected": record.choice.selected, "best": record.choice.best}
    sure = record.decision.probabilities
    score = fill(f"validation {judge_of(record).noun}", WIDTH)
    headline = task_of(record.study.data.task).headline
    titles = ["network", "parameters>", f"{score}>", f"{headline.title}>"]
    table = _table(*titles, *(["as good>"] if sure else []), "")
    for place, point in enumerate(record.estimates):
        table.add_row(
            network(point.candidate.units),
            f"{point.parameters:,}",
            f"{point.mean:.4f} ± {point.se:.4f}",
            headline.text(record.figure(point.candidate)),
            *([_short(sure[place])] if sure else []),
            ", ".join(mark for mark, marked in marks.items() if point == marked),
            style="bold green" if point == record.choice.selected else "",
        )
    said = _pairs((f"[yellow]{k}[/]" if k.startswith("CS") else k, v) for k, v in _facts(record))
    data = record.study.data
    wider = "; ".join(["standard error", *filter(None, [facts.folds_share(data)])])
    console.print(
        f"\n[bold]{escape(record.study.name)}[/]: on {facts.judged_rows(data)}, mean of fresh-seed "
        f"runs ± {wider}{_as_good(record)}",
        highlight=False,
    )
    console.print(table, "", said, sep="\n", highlight=False)
    near = escape(_near(Path(report)))
    console.print(f"[bold]Report[/]     {near}", highlight=False, soft_wrap=True)
    if model is not None:
        _show_model(console, record.study.name, model)


def _show_model(console: Console, study: str, model: Mapping[str, Any]) -> None:
    """Lines that can be copied whole: the terminal breaks them, if anything does."""
    near, rows = _near(Path(model["path"])), "texts.csv" if model["rows"] == "texts" else "rows.csv"
    root = Path(model["path"]).parents[2]  # models/STUDY/CHOICE lies below it
    there = "" if root == Path.cwd() / "mlruns" else f" --root {quote(_near(root))}"
    for title, said in (("Model", near), ("Use it", f"capsearch predict {study} {rows}{there}")):
        line = f"[bold]{title:<9}[/]  {escape(plain(said))}"
        console.print(line, highlight=False, soft_wrap=True)
    code = "\n".join(three_lines(near, model["rows"], model["columns"]))
    console.print("or in Python:", code, sep="\n", highlight=False, markup=False, soft_wrap=True)


def _near(path: Path) -> str:
    """As it is called from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def show_data(console: Console, profile: DataProfile) -> None:
    """Sizes, balance, fingerprints, and what the splits share."""
    task = task_of(profile.task)
    heads = [escape(f"{head}>") for head in target_columns(task)]
    table = _table("split", "rows>", *heads, "fingerprint")
    for split, print_ in profile.fingerprints.items():
        if split in profile.sizes:
            cells = [f"{profile.sizes[split]:,}", *target_cells(profile, task, split)]
        else:  # in a file of their own, which nobody has read
            cells = ["sealed"] * (1 + len(heads))
        table.add_row(split, *map(escape, cells), print_[:16])
    said = facts.shared_rows(profile, None)
    console.print(f"[bold]{escape(profile.source)}[/]: {profile.features:,} features")
    console.print(table, f"{said[0].upper()}{said[1:]}.", sep="\n", markup=False)
    if profile.folds:
        console.print(
            f"Networks are judged on {facts.judged_rows(profile)}: each row by networks trained on "
            "the other folds.",
            markup=False,
        )


def show_studies(console: Console, known: Sequence[str], rows: Sequence[StudyRow]) -> None:
    """The studies that can be named, then those that were run."""
    console.print(f"[bold]Available[/]  {escape(', '.join(known))}", highlight=False)
    if not rows:
        console.print("Nothing has been run here yet. Try: [bold]capsearch study imdb[/]")
        return
    table = _table("study", "started (UTC)", "time>", "selected")
    for row in rows:
        units = row.document["selected"]["units"] if row.document else None
        chosen = "not finished" if units is None else network(units)
        table.add_row(row.key, minute(row.started_at), clock(row.seconds), chosen)
    console.print(table)


def show_estimate(console: Console, found: "DryRun") -> None:
    """What a study would train, and what that would take."""
    planned = found.baselines + found.trials
    stored = f", {found.stored} of them stored already" if found.stored else ""
    rows = {
        "Search": f"{planned} trainings: {found.baselines} baselines and {found.trials} networks "
        f"in {found.bands} size bands",
        "Then": f"{found.replicates} or more fresh-seed runs of the best of each band{stored}",
        "Engine": found.engine,
        "Time": f"{clock(found.shortest)} to {clock(found.longest)} of training on this machine, "
        "by how soon each training stops",
        "Memory": f"{found.memory / 1e9:.1f} GB for a process that trains, so far; up to 1.5 GB "
        "more for the driver and for the sealed test",
    }
    console.print(f"[bold]{escape(found.study)}[/]: nothing was stored", highlight=False)
    console.print(_pairs(rows.items()), highlight=False)


def show_probe(console: Console, study: str, probe: Probe) -> None:
    """How much each size memorised, and what that means."""
    figure = ("{:.3f}" if probe.figure == "R2" else "{:.1%}").format
    table = _table("network", "parameters>", "memorised>", "lowest to highest>", f"{probe.figure}>")
    for size in probe.sizes:
        table.add_row(
            network(size.candidate.units),
            f"{size.parameters:,}",
            f"{'≥ ' if size.unfinished else ''}{size.mean:.1%}",
            f"{min(size.learned):.1%} to {max(size.learned):.1%}",
            figure(fmean(size.accuracy)),
            style="bold green" if size == probe.smallest else "",
        )
    found, much = probe.smallest, f"{ALL:.0%} of the labels within {probe.epochs} epochs"
    said = f"No size memorises {much}."
    if found is not None:
        named = f"{network(found.candidate.units)} ({found.parameters:,} parameters)"
        start = f"{named} is the smallest network that memorises"
        if found == probe.sizes[0]:
            start = f"Even the smallest network tried, {named}, memorises"
        said = (
            f"{start} {much}. A network of this size or larger can fit its training rows whatever "
            "their labels are: a good fit to them proves nothing."
        )
    console.print(
        f"\n[bold]{escape(study)}[/]: {probe.rows:,} training rows with shuffled labels. With "
        f"nothing memorised, {probe.figure} is {figure(probe.chance)}; with everything, "
        f"{figure(probe.reachable)}.",
        highlight=False,
    )
    console.print(table, "", said, sep="\n", highlight=False)
    if any(size.unfinished for size in probe.sizes):
        console.print("≥: it still improved when training ended. Try more --epochs.")


def _short(probability: float) -> str:
    """'>99%' in a column, where a sentence says 'above 99%'."""
    return shown(probability).replace("above ", ">").replace("below ", "<")


def _as_good(record: StudyRecord) -> str:
    """What the column 'as good' means; empty where an earlier version decided."""
    if not record.decision.probabilities:
        return ""
    margin = record.study.question["select"]["margin"]
    return f"; as good: probability of being within {margin:g} of the truly best"


def _facts(record: StudyRecord) -> Iterable[tuple[str, str]]:
    """What was chosen, why, what it scores and costs, how sure that is, and what to check."""
    choice, chosen, uncertainty = record.choice, record.choice.selected, record.uncertainty
    named = f"{network(chosen.candidate.units)}, {chosen.parameters:,} parameters"
    settings = common_settings([chosen.candidate])
    yield "Selected", ", ".join([named, *(f"{title} {text}" for title, text in settings)])
    yield "Why", f"rule {choice.rule}: {choice.reason.rstrip('.')}"
    if claim := facts.claim(record):
        yield "Claim", claim
    if again := facts.trained_again(record):
        yield "Trained", again
    yield "Test", _tested(record)
    if chosen != choice.best:
        yield (
            "Cost",
            f"against the best, {uncertainty.loss_increase:+.4f} validation "
            f"{judge_of(record).noun} "
            f"({facts.interval(uncertainty)}) and {facts.figure_change(record)}",
        )
    if record.test is not None and record.test.metrics:
        without = task_of(record.study.data.task).headline.name, "log_loss"
        yield "Also", f"on test rows: {listed(record.test.metrics, *without)}"
    if cut := cut_at(task_of(record.study.data.task), record.decision.threshold):
        yield "Labels", cut
    yield "Stability", facts.stability(uncertainty)
    if record.cut:
        yield "Note", record.cut
    for check in record.warnings:
        yield check.code, check.sentence
    yield "Time", clock(record.seconds)


def _tested(record: StudyRecord) -> str:
    """The one score on test rows, or how to get it."""
    test = record.test
    if record.complete and test is None:
        return facts.NO_TEST
    if test is None:
        return (
            f"still sealed. `capsearch test {record.study.name}` opens it, once, for this network"
        )
    task = task_of(record.study.data.task)
    score, text = score_of(test, task), task.headline.text
    return (
        f"{task.headline.title} {text(score.value)} (95% interval {text(score.low)} to "
        f"{text(score.high)}), loss {test.loss:.4f} ({test.loss_low:.4f} to "
        f"{test.loss_high:.4f}) on {test.rows:,} test rows. Opened once, "
        f"{minute(test.opened_at)} UTC; {facts.other_openings(test)}"
    )


def _pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """A name and what is said of it in each row."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", min_width=9)
    for name, said in rows:
        table.add_row(name, escape(said))
    return table


def _table(*columns: str) -> Table:
    """Without lines. A column whose name ends in > is one of numbers; marks alone wrap."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(
            name.rstrip(">"),
            justify="right" if name.endswith(">") else "left",
            no_wrap=bool(name),
        )
    return table
