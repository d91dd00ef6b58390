"""Columns of words: yes and no, texts, categories, and codes that only name their rows."""

from collections import defaultdict

from capsearch.data.columns.declared import Column, Declared
from capsearch.data.columns.doubt import Doubt, line, times, worst
from capsearch.data.columns.values import ENOUGH, UNIQUE, Values
from capsearch.data.preparation.transform import BOOLEANS, PAIRS

MISSING_WORDS = {
    "na",
    "n/a",
    "nan",
    "none",
    "null",
    "nil",
    "missing",
    "unknown",
    "?",
    "-",
    "--",
    ".",
}
MISSING_WORDS |= {"#n/a", "<na>", "undefined"}


def boolean_column(values: Values, _: Declared) -> Column | Doubt | None:
    """The column if it has two words of one pair; a doubt where words of several pairs mix."""
    words = {text.casefold() for text in values.counts}
    if not words <= BOOLEANS.keys() or len(words) == 1:
        return None
    for pair in PAIRS:
        if words == set(pair):
            spelled = "" if len(values.counts) == 2 else f", in {len(values.counts)} spellings"
            why = f"{pair[0]} or {pair[1]}{spelled}"
            return values.column("boolean", why)
    said = f"words for yes and no are mixed: {worst(values.counts)}"
    name = values.name
    return Doubt(name, said, (line("kinds", name, "boolean"), line("kinds", name, "category")))


def text_column(values: Values, declared: Declared) -> Column | None:
    """The column if its values are texts of several words, or codes that only name their rows."""
    if _names_rows(values) and values.name not in declared.keep:
        why = f"{len(values.counts):,} codes in {values.known:,} rows"
        return values.column("id", why, used=False)
    words, share = values.words, len(values.counts) / values.known
    if (words >= 3.0 and share > 0.01) or (words >= 2.0 and share > 0.5):
        why = f"{len(values.counts):,} texts of {words:.1f} words"
        return values.column("text", why)
    return None


def _names_rows(values: Values) -> bool:
    """Nearly every value is another one, and it is one word or is called an id."""
    if values.unique < UNIQUE:
        return False
    return values.named_id or (values.known >= ENOUGH and values.words < 1.5)


def category_column(values: Values) -> Column:
    """What is nothing else: one of some values."""
    different = len(values.counts)
    why = f"{different:,} values" if different > 1 else "one value, or missing"
    return values.column("category", why, note=_note(values))


def _note(values: Values) -> str:
    notes = list[str]()
    if odd := [text for text in values.counts if text.casefold() in MISSING_WORDS]:
        told = ", ".join(f"{text!r} ({times(values.counts[text])})" for text in odd[:5])
        fix = line("null", values.name, [*values.null, *odd])
        notes.append(f"{told}: values of their own. If they mean missing: {fix}")
    twins = defaultdict[str, list[str]](list)
    for text in values.counts:
        twins[text.casefold()].append(text)
    if alike := [group for group in twins.values() if len(group) > 1]:
        told = "; ".join(" and ".join(map(repr, group)) for group in alike[:3])
        notes.append(f"different values, though alike: {told}")
    if values.known >= ENOUGH and len(values.counts) > 0.5 * values.known:
        notes.append("most values stand in one row only, and count as rare together")
    return ". ".join(notes)
