"""Raw rows to numbers, by a stored description: the same bits in training, kept model and export.

This file stands alone. It needs NumPy and SciPy, is copied beside a kept model, and runs where
capsearch is not installed. All that was learned from rows is in the description (plain JSON) and
its arrays; sines, logarithms and the like are looked up there, for they differ between machines.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse

ISO, ISO_ZONE = "ISO 8601", "ISO 8601 with zone"
LARGEST, NAT = float(np.finfo(np.float32).max), np.iinfo(np.int64).min
FAR = 1e6  # scales from the median: everything beyond is as far
DAY = 86_400_000_000  # microseconds
WORD = re.compile(r"(?u)\b\w\w+\b")
LINE_BREAK = "<br />"  # what web pages leave behind; not a word
PAIRS = (("yes", "no"), ("true", "false"), ("y", "n"), ("t", "f"), ("on", "off"), ("1", "0"))
BOOLEANS = {word: float(not place) for pair in PAIRS for place, word in enumerate(pair)}
LONG = ("january", "february", "march", "april", "may", "june", "july", "august", "september",
        "october", "november", "december")  # fmt: skip
MONTHS = tuple(name[:3] for name in LONG)
PARTS = {
    "Y": "(?P<Y>[0-9]{4})", "y": "(?P<y>[0-9]{2})", "m": "(?P<m>[0-9]{1,2})",
    "d": "(?P<d>[0-9]{1,2})", "H": "(?P<H>[0-9]{1,2})", "I": "(?P<I>[0-9]{1,2})",
    "M": "(?P<M>[0-9]{2})", "S": "(?P<S>[0-9]{2})", "f": "(?P<f>[0-9]{1,9})",
    "p": "(?P<p>am|pm)", "b": f"(?P<b>{'|'.join(MONTHS)})", "B": f"(?P<B>{'|'.join(LONG)})",
    "a": "(?:mon|tue|wed|thu|fri|sat|sun)", "A": "(?:mon|tues|wednes|thurs|fri|satur|sun)day",
    "z": r"(?P<z>z|[+-][0-9]{2}:?[0-9]{2})", "%": "%",
}  # fmt: skip
_DATE = "{Y}-(?P<m>[0-9]{{2}})-(?P<d>[0-9]{{2}})"
_TIME = r"[ T](?P<H>[0-9]{{2}}):{M}(?::{S}(?:[.,]{f})?)?"
ISO_PATTERNS = {
    ISO: re.compile(f"{_DATE}(?:{_TIME})?".format(**PARTS), re.I),
    ISO_ZONE: re.compile(f"{_DATE}{_TIME} ?{{z}}".format(**PARTS), re.I),
}
Spec = Mapping[str, Any]  # of a column, or of all
Arrays = Mapping[str, np.ndarray]
Block = np.ndarray | sparse.csr_matrix


def transform(description: Spec, arrays: Arrays, table: Mapping[str, Any]) -> dict[str, Block]:
    """Rows of a table as inputs of a network: {"x": float32, (rows, features), dense or CSR}.

    Args:
        description, arrays: What `Preparation.as_files` gave, as JSON and npz give it back.
        table: Columns by name, one value a row: texts, or typed values. Others are ignored.

    Raises:
        ValueError: For missing columns, and for values that cannot be read, with row (the first is
            1), column and value. Categories never seen and missing values are no errors.
    """
    specs = description["columns"]
    if absent := [spec["name"] for spec in specs if spec["name"] not in table]:
        raise ValueError(f"missing columns: {', '.join(map(repr, absent))}")
    values = {spec["name"]: np.asarray(table[spec["name"]]) for spec in specs}
    lengths = {name: len(array) for name, array in values.items()}
    if (rows := max(lengths.values())) > min(lengths.values()):
        raise ValueError(f"columns differ in their number of rows: {lengths}")
    blocks = ((spec, BLOCKS[spec["kind"]](spec, values[spec["name"]], arrays)) for spec in specs)
    if description["sparse"]:
        parts = [sparse.csr_matrix(block) for _, block in blocks]
        x = parts[0] if len(parts) == 1 else sparse.hstack(parts, "csr", np.float32)
        x.sort_indices()
        return {"x": x}
    dense = np.zeros((rows, description["features"]), np.float32)
    for spec, block in blocks:
        if isinstance(block, np.ndarray):
            dense[:, spec["at"] : spec["at"] + block.shape[1]] = block
        else:
            full = block.tocoo()
            dense[full.row, spec["at"] + full.col] = full.data
    return {"x": dense}


def as_text(value: Any) -> str:
    """A value as text without space around it; '' for a missing one. 3.0 is '3'."""
    if isinstance(value, str):
        return value.strip()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas' own
        return ""
    if isinstance(value, (float, np.floating, np.datetime64)) and value != value:  # noqa: PLR0124
        return ""
    if isinstance(value, (float, np.floating)):
        whole = float(value).is_integer() and abs(float(value)) < 2.0**53
        return str(int(value)) if whole else str(value)
    return str(value).strip()


@lru_cache
def number_pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    """What matches numbers with these signs in them; `thousands` may be empty."""
    point, group = re.escape(decimal), re.escape(thousands)
    whole = f"(?:[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]+)" if thousands else "[0-9]+"
    return re.compile(f"[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?")


def parse_number(text: str, spec: Spec) -> float | None:
    """A number that float32 can hold, with the spec's signs in it; None for any other text."""
    decimal, thousands = spec.get("decimal", "."), spec.get("thousands", "")
    unit = spec.get("unit")
    if unit and unit in text:  # before or after the number; a minus may stand before it
        sign = text[:1] if text[:1] in ("-", "+") else ""
        bare = text[len(sign) :].strip()
        bare = bare.removeprefix(unit) if bare.startswith(unit) else bare.removesuffix(unit)
        text = sign + bare.strip()
    if thousands == " ":
        text = text.replace("\u00a0", " ").replace("\u202f", " ")
    if not number_pattern(decimal, thousands).fullmatch(text):
        return None
    number = float((text.replace(thousands, "") if thousands else text).replace(decimal, "."))
    return number if abs(number) <= LARGEST else None


def date_pattern(form: str) -> re.Pattern[str]:
    """What matches dates in a format. Raises ValueError for a directive that is not known."""
    if form in ISO_PATTERNS:
        return ISO_PATTERNS[form]
    pieces = re.split(r"%(.)", form)
    if unknown := [name for name in pieces[1::2] if name not in PARTS]:
        raise ValueError(f"%{unknown[0]} is not known; known are %{', %'.join(PARTS)}")
    made = [PARTS[p] if i % 2 else re.escape(p) for i, p in enumerate(pieces)]
    return re.compile("".join(made), re.IGNORECASE | re.ASCII)


def parse_date(text: str, pattern: re.Pattern[str]) -> int | None:
    """Microseconds since 1970 (UTC where there is a zone); None for any other text."""
    if not (found := pattern.fullmatch(text)):
        return None
    part = {name: value.lower() for name, value in found.groupdict().items() if value}
    short = int(part.get("y", 70))
    year = int(part["Y"]) if "Y" in part else short + (1900 if short >= 69 else 2000)
    names = MONTHS if "b" in part else LONG
    named = part.get("b") or part.get("B")
    month = names.index(named) + 1 if named else int(part.get("m", 1))
    hour, minute, second = (int(part.get(name, 0)) for name in "HMS")
    if "I" in part:
        half = int(part["I"])
        hour = half % 12 + 12 * (part.get("p") == "pm") if 1 <= half <= 12 else 24
    try:
        days = date(year, month, int(part.get("d", 1))).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    offset = 0
    if (zone := part.get("z", "z")) != "z":
        offset = (int(zone[1:3]) * 60 + int(zone[-2:])) * (-1 if zone[0] == "-" else 1)
    micro = int(part.get("f", "0").ljust(6, "0")[:6])
    return days * DAY + ((hour * 60 + minute - offset) * 60 + second) * 1_000_000 + micro


def _each(spec: Spec, values: Iterable[Any], read: Callable[[str], Any]) -> list[Any]:
    """What `read` makes of each value as text, None for a missing one; each text is read once."""
    null, known = {"", *spec["null"]}, dict[str, Any]()
    found = list[Any]()
    for row, value in enumerate(values, 1):
        text = as_text(value)
        if text not in known:
            known[text] = None if text in null else read(text)
            if known[text] is None and text not in null:
                where = f"row {row}, column {spec['name']!r}"
                raise ValueError(f"{where}: {text[:80]!r} is no {spec['kind']}")
        found.append(known[text])
    return found


def numbers(spec: Spec, values: np.ndarray) -> np.ndarray:
    """float64, NaN for missing values. Raises ValueError for what is no number."""
    if values.dtype.kind not in "iuf":
        return np.array(_each(spec, values, lambda t: parse_number(t, spec)), np.float64)
    x = values.astype(np.float64)
    for text in spec["null"]:
        endless = float(text) if text in ("inf", "-inf") else None
        if (number := endless or parse_number(text, spec)) is not None:
            x[x == number] = math.nan
    if len(far := np.flatnonzero(np.abs(x) > LARGEST)):
        where = f"row {far[0] + 1}, column {spec['name']!r}"
        raise ValueError(f"{where}: {x[far[0]]} is beyond what float32 holds")
    return x


def booleans(spec: Spec, values: np.ndarray) -> np.ndarray:
    """1.0, 0.0 or NaN. Other words count as missing; where all were 0 or 1, ValueError."""
    other = math.nan if spec["words"] else None
    return np.array(_each(spec, values, lambda t: BOOLEANS.get(t.casefold(), other)), np.float64)


def dates(spec: Spec, values: np.ndarray) -> np.ndarray:
    """datetime64[us], in UTC where there is a zone. Raises ValueError for what is no such date.

    Whatever the format, ISO 8601 is understood, which no other format can be taken for.
    """
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    form = spec["format"]
    forms = [form, ISO_ZONE if "zone" in form or "%z" in form else ISO] if form else ISO_PATTERNS
    patterns = [date_pattern(each) for each in forms]

    def read(text: str) -> int | None:
        return next((d for p in patterns if (d := parse_date(text, p)) is not None), None)

    found = _each({**spec, "kind": f"date in the format {form or ISO}"}, values, read)
    return np.array([NAT if d is None else d for d in found], np.int64).view("M8[us]")


def words_of(text: str) -> list[str]:
    """The words of a text: two signs or more, in small letters."""
    return WORD.findall(text.replace(LINE_BREAK, " ").lower())


def cycle_places(days_and_time: np.ndarray) -> dict[str, np.ndarray]:
    """Where moments (datetime64[us], none missing) stand in each cycle: whole numbers from 0."""
    days = days_and_time.astype("datetime64[D]")
    return {
        "year": (days - days.astype("datetime64[Y]")).astype(np.int64),  # 0 to 365
        "month": (days - days.astype("datetime64[M]")).astype(np.int64),  # 0 to 30
        "week": (days.astype(np.int64) + 3) % 7,  # Monday is 0
        "day": (days_and_time.astype(np.int64) % DAY) // 60_000_000,  # minutes
    }


def squashed(x: np.ndarray, centre: float, scale: float) -> np.ndarray:
    """z / sqrt(1 + (z / 5)^2) of z = (x - centre) / scale: as z near 0, never beyond 5."""
    z = np.clip((x - centre) / scale, -FAR, FAR)
    return np.asarray(z / np.sqrt(1.0 + (z / 5.0) * (z / 5.0)))


def _with_missing(spec: Mapping[str, Any], shown: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Columns for a network, 0 where missing; one more says so, if training rows had such."""
    filled = np.where(missing[:, None], 0.0, shown if shown.ndim == 2 else shown[:, None])
    return np.column_stack([filled, missing] if spec["missing"] else [filled]).astype(np.float32)


def _number(spec: Spec, values: np.ndarray, _: Arrays) -> Block:
    x = numbers(spec, values)
    return _with_missing(spec, squashed(x, spec["centre"], spec["scale"]), np.isnan(x))


def _boolean(spec: Spec, values: np.ndarray, _: Arrays) -> Block:
    x = booleans(spec, values)
    return _with_missing(spec, x - spec["centre"], np.isnan(x))


def _date(spec: Spec, values: np.ndarray, arrays: Arrays) -> Block:
    moments = dates(spec, values)
    missing = np.isnat(moments)
    known = np.where(missing, np.datetime64(0, "us"), moments)
    days = (known.astype(np.int64) - spec["start"]) / DAY
    places = cycle_places(known)
    parts = [squashed(days, spec["centre"], spec["scale"])]
    parts += [arrays[f"cycle {name}"][places[name]].T for name in spec["cycles"]]
    return _with_missing(spec, np.vstack(parts).T, missing)


def _category(spec: Spec, values: np.ndarray, _: Arrays) -> Block:
    null, other = {"", *spec["null"]}, spec["rare"]
    place: dict[str, int | None] = {text: i for i, text in enumerate(spec["values"])}
    place |= dict.fromkeys(null, spec["absent"])
    read = [(text, parse_number(text, {})) for text in spec["values"]]
    typed = {as_text(x): place[text] for text, x in read if x is not None}  # 2100 for '02100'
    texts = [(as_text(value), isinstance(value, str)) for value in values]
    found = [place.get(t, other if said else typed.get(t, other)) for t, said in texts]
    hot = [(row, at) for row, at in enumerate(found) if at is not None]
    rows, columns = np.array(hot, np.int32).reshape(-1, 2).T
    ones = np.ones(len(hot), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), (len(values), spec["width"]))


def _text(spec: Spec, values: np.ndarray, arrays: Arrays) -> Block:
    place = {word: i for i, word in enumerate(spec["values"])}
    idf = arrays[spec["idf"]].tolist() if spec["idf"] else None
    ends, columns, data = [0], list[int](), list[float]()
    for value in values:
        text = as_text(value)
        words = [] if text in spec["null"] else words_of(text)
        counts = Counter(place[word] for word in words if word in place)
        found = sorted(counts)
        columns += found
        ends.append(len(columns))
        if idf is None:
            continue
        weights = [counts[at] * idf[at] for at in found]
        length = math.sqrt(math.fsum(w * w for w in weights))  # Pythons differ in their sum()
        data += [weight / length for weight in weights]
    filled = np.ones(len(columns)) if idf is None else np.array(data)
    parts = (filled.astype(np.float32), np.array(columns, np.int32), np.array(ends, np.int32))
    return sparse.csr_matrix(parts, (len(values), spec["width"]))


BLOCKS: dict[str, Callable[[Spec, np.ndarray, Arrays], Block]] = {
    "number": _number, "boolean": _boolean, "date": _date, "category": _category, "text": _text
}  # fmt: skip
