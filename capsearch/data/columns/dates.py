"""Is a column of texts one of dates? One format reads all of its values, and no other one does."""

from collections.abc import Iterable, Iterator
from itertools import islice

from capsearch.data.columns.declared import Column, Declared
from capsearch.data.columns.doubt import Doubt, drop_line, line, worst
from capsearch.data.columns.values import Values, almost
from capsearch.data.preparation.transform import ISO, ISO_ZONE, date_pattern, parse_date

DAYS = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d",
    "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y",
    "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y",
)  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %z")
FORMATS = (ISO, ISO_ZONE, *(f"{day}{time}" for day in DAYS for time in TIMES))
PROBE = 20  # different values that tell which formats are worth trying on all


def date_column(values: Values, declared: Declared) -> Column | Doubt | None:
    """The column if it is one of dates, a doubt, or None for something else."""
    name = values.name
    if given := declared.formats.get(name):
        return _declared(values, given)
    likely = _likely(values.counts)
    read = {form: _read(form, values.counts) for form in likely}
    whole = {form: moments for form, moments in read.items() if len(moments) == len(values.counts)}
    if whole:
        form, moments = next(iter(whole.items()))
        others = [each for each, found in whole.items() if found != moments]
        if others:
            said = f"all {values.known:,} values are dates in more than one way: {form}, "
            said += ", ".join(others)
            lines = (line("formats", name, each) for each in (form, *others))
            return Doubt(name, said, tuple(lines))
        return values.column("date", f"{values.known:,} dates, {form}", format=form)
    return _nearly(values, read)


def _declared(values: Values, form: str) -> Column | Doubt:
    try:
        moments = _read(form, values.counts)
    except ValueError as error:
        return Doubt(values.name, str(error), (line("formats", values.name, "%d/%m/%Y"),))
    misfits = {text: n for text, n in values.counts.items() if text not in moments}
    if misfits:
        said = (
            f"{sum(misfits.values()):,} of {values.known:,} values are not in the format {form}: "
        )
        lines = (line("null", values.name, [*values.null, *sorted(misfits)[:5]]),)
        return Doubt(values.name, said + worst(misfits), lines)
    return values.column("date", f"declared; {values.known:,} dates, {form}", format=form)


def _nearly(values: Values, read: dict[str, dict[str, int]]) -> Doubt | None:
    """What to say where one format reads most values, or two read all between them."""
    name, counts = values.name, values.counts
    order = sorted(read, key=lambda form: -sum(counts[text] for text in read[form]))
    if not order:
        return None
    best = read[order[0]]
    misfits = {text: n for text, n in counts.items() if text not in best}
    both = next((f for f in order[1:] if len({*best, *read[f]}) == len(counts)), None)
    if both is not None:
        said = f"values are dates in two formats, {order[0]} and {both}: {worst(misfits)}"
        return Doubt(name, said, (drop_line(name), line("kinds", name, "category")))
    fitting = values.known - sum(misfits.values())
    if not almost(fitting, values.known, len(best), len(misfits)):
        return None
    said = f"{fitting:,} of {values.known:,} values are dates ({order[0]}), but not "
    lines = [line("kinds", name, "category"), drop_line(name)]
    if len(misfits) <= 10:
        lines.insert(0, line("null", name, [*values.null, *sorted(misfits)]))
    return Doubt(name, said + worst(misfits), tuple(lines))


def _likely(texts: Iterable[str]) -> list[str]:
    """Formats that read at least one of the first few values."""
    probe = list(islice(texts, PROBE))
    if not any(any(sign.isdigit() for sign in text) for text in probe):
        return []
    return list(_reading(probe))


def _reading(probe: Iterable[str]) -> Iterator[str]:
    for form in FORMATS:
        pattern = date_pattern(form)
        if any(parse_date(text, pattern) is not None for text in probe):
            yield form


def _read(form: str, texts: Iterable[str]) -> dict[str, int]:
    """Those of some texts that are dates in a format, as moments."""
    pattern = date_pattern(form)
    found = ((text, parse_date(text, pattern)) for text in texts)
    return {text: moment for text, moment in found if moment is not None}
