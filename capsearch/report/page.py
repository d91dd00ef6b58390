"""A finished study as one HTML file that needs nothing else: no script, no font, no network.

Everything on the page is computed from the record; every name is escaped by the template.
"""

import json
import os
import re
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from capsearch import __version__
from capsearch.families.dense import common_settings, shown_settings
from capsearch.records import RungEvidence, StudyRecord, Tracking, failures
from capsearch.report import PAGE, facts, overfit
from capsearch.report.compared import compared
from capsearch.selection import judge_of, shown
from capsearch.tasks import words
from capsearch.words import clock, described, minute, network


@dataclass(frozen=True)
class ReportFiles:
    """What was written: the page, and its figures as files of their own."""

    page: Path
    figures: tuple[Path, ...]


def write(record: StudyRecord, folder: Path, tracking: Tracking | None) -> ReportFiles:
    """Write the page and the figures into `folder`, each in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw(record)
    page = folder / PAGE
    _replace(page, render(record, tracking, drawn))
    paths = tuple(folder / f"{name}.svg" for name in drawn)
    for path, text in zip(paths, drawn.values(), strict=True):
        _replace(path, text)
    return ReportFiles(page, paths)


def draw(record: StudyRecord) -> dict[str, str]:
    """The figures as SVG text, by name."""
    from capsearch.report import figures  # Matplotlib takes 0.2 s: not before training

    return {
        "capacity_curve": figures.capacity_curve(record),
        "overfitting": figures.overfit_pair(overfit.pair_to_compare(record)),
        "selected_seeds": figures.seeds_of_choice(record),
    }


def render(record: StudyRecord, tracking: Tracking | None, drawn: dict[str, str]) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("capsearch", "report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"shown": shown, "clock": clock, "minute": minute, "network": network}
    environment.filters |= {"described": described, "spread": _spread, "around": _around}
    environment.filters["capital"] = lambda text: text[:1].upper() + text[1:]
    task = facts.task_in(record)
    pair, baselines = overfit.pair_to_compare(record), overfit.baselines(record)
    rows = [e.candidate for e in record.estimates] + [o.candidate for o in baselines]
    return environment.get_template("page.html").render(
        record=record,
        study=record.study,
        choice=record.choice,
        uncertainty=record.uncertainty,
        decision=record.decision,
        headline=_headline(record),
        test=record.test,
        tracking=tracking,
        version=__version__,
        times=record.choice.best.parameters / record.choice.selected.parameters,
        figures={name: _inline(name, svg) for name, svg in drawn.items()},
        facts=facts,
        judge=judge_of(record),
        task=task,
        headline_figure=task.headline,
        score=words.score_of(record.test, task) if record.test else None,
        metrics=facts.figures(record),
        cut=words.cut_at(task, record.decision.threshold),
        titles=words.TITLES,
        with_ends=words.with_ends,
        target_columns=words.target_columns,
        target_cells=words.target_cells,
        settings=partial(shown_settings, among=rows),
        common=common_settings(rows),
        pair=pair,
        words=overfit.in_words(*pair),
        baselines=baselines,
        finalists=overfit.finalists(record),
        bands=_bands(record),
        pairs=compared(record),
        question=json.dumps(record.study.question, indent=2),
    )


def _bands(record: StudyRecord) -> list[dict[str, Any]]:
    """For each size band: its sizes, trials, failures by their kind, best loss, and its gain."""
    rows, growth = [], {e.rung: e for e in record.growth}
    for rung, low in enumerate(record.study.ladder[:-1]):
        trials = [t for t in record.trials if t.rung == rung]
        losses = [t.outcome.val_loss for t in trials if t.outcome and t.outcome.complete]
        rows.append(
            {
                "low": low,
                "high": record.study.ladder[rung + 1] - 1,
                "trials": len(trials),
                "failed": failures(trials),
                "best": min(losses) if losses else None,
                "gain": _gain(growth.get(rung)),
            }
        )
    return rows


def _gain(evidence: RungEvidence | None) -> str:
    """What a band's own share of the trials gained over all smaller sizes."""
    if evidence is None:
        return "–"
    if not evidence.opened:
        return "not searched: no clear gain below"
    if evidence.gain is None or evidence.se is None:
        return "–"
    verdict = "clear gain" if evidence.pays else "no clear gain"
    return f"{evidence.gain:+.4f} ± {evidence.se:.4f}, {verdict}"


def _inline(name: str, svg: str) -> Markup:
    """A figure for the page, where an id of one must not be found in another.

    It is matplotlib's own output, which escapes every text, so it is not escaped again.
    """
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return Markup(re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg))  # noqa: S704


def _headline(record: StudyRecord) -> str:
    """What was found, as surely as it was."""
    choice = record.choice
    network_ = described(choice.selected.candidate.units)
    if choice.undecided:
        return f"Open: the best network is kept, {network_}"
    subject = network_[0].upper() + network_[1:]
    if choice.standing == "proved":
        return f"{subject} is proved to be enough"
    before = choice.standing is None and not record.uncertainty.undecided  # stored without a claim
    if choice.standing == "probable" or before:
        return f"{subject} is probably enough"
    if record.uncertainty.loss_increase_low > record.study.question["select"]["margin"]:
        return f"{subject} is selected, though clearly worse than the best"
    return f"{subject} is selected, and may be worse than the best"


def _spread(value: overfit.Spread) -> str:
    """Mean and both ends: '4.2 (3 to 5)'."""
    mean = f"{value.mean:.1f}".removesuffix(".0")
    return mean if value.low == value.high else f"{mean} ({value.low:.0f} to {value.high:.0f})"


def _around(value: overfit.Spread | None) -> str:
    """Mean and standard deviation over seeds, if there are several."""
    if value is None:
        return "–"
    return f"{value.mean:.4f} ± {value.sd:.4f}" if value.seeds > 1 else f"{value.mean:.4f}"


def _replace(path: Path, text: str) -> None:
    """Readers see the old file or the new one, never half of it."""
    handle, making = tempfile.mkstemp(dir=path.parent, prefix=".making-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(making).chmod(0o644)
        Path(making).replace(path)
    finally:
        Path(making).unlink(missing_ok=True)
