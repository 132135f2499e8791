"""Numbers as people write them: marks before decimals and between thousands, units, ages."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from voxplain.tables.cells import visible

__all__ = ["TIMES", "Written", "are_times", "decimal_mark", "parse", "value_of"]

_DAYS_IN_A_YEAR = 365.25
TIMES = {
    **dict.fromkeys(("y", "yr", "yrs", "year", "years", "yo", "y/o", "yearold", "yearsold"), 1.0),
    **dict.fromkeys(("a", "jahr", "jahre", "an", "ans", "anos", "anni"), 1.0),
    **dict.fromkeys(("m", "mo", "mos", "mth", "mths", "month", "months", "monate"), 1 / 12),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 7 / _DAYS_IN_A_YEAR),
    **dict.fromkeys(("d", "day", "days"), 1 / _DAYS_IN_A_YEAR),
}
_DICOM_AGE = re.compile(r"\d{3}[DWMY]")
_NUMBER = r"[+-]?(?:[.,]?\d(?:[\d.,' ]*\d)?[.,]?(?:[eE][+-]?\d+)?|inf(?:inity)?)"
_PART = re.compile(rf"({_NUMBER})\s*([^\W\d_][^\d+,;<>=-]*|%)?", re.IGNORECASE)
# 1,234 or 1.234: a thousand and more, or one and some.
_GROUPED = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")


@dataclass(frozen=True)
class Written:
    """Parts of a cell: numbers as they are written, each with its unit."""

    text: str
    parts: tuple[tuple[str, str], ...]


def parse(text: str) -> Written:
    """Split a cell into numbers and units; without parts where it holds anything else."""
    plain = " ".join(visible(text).replace("−", "-").replace("’", "'").split()).strip("'\"")
    parts: list[tuple[str, str]] = []
    at = 0
    while at < len(plain):
        match = _PART.match(plain, at)
        if match is None:
            return Written(text, ())
        unit = re.sub(r"[\s.]", "", match[2] or "").casefold()
        parts.append((match[1], unit.removesuffix("and")))
        at = match.end()
        while at < len(plain) and plain[at] in " ,":
            at += 1
    if len(parts) > 1 and not _compound([unit for _, unit in parts]):
        return Written(text, ())
    return Written(text, tuple(parts))


def _compound(units: list[str]) -> bool:
    """Whether units make one time: years, then months, and so on, each once."""
    sizes = [TIMES.get(unit, 0.0) for unit in units]
    return all(a > b > 0 for a, b in itertools.pairwise(sizes))


def are_times(ages: bool, cells: list[Written], units: set[str]) -> bool:
    """Whether units such as m and d stand for months and days in this column."""
    if any(len(unit) > 1 and unit in TIMES for unit in units):
        return True
    single = [cell.text.strip() for cell in cells if any(len(u) == 1 for _, u in cell.parts)]
    if not any(unit in TIMES for unit in units):
        return False
    return (
        ages
        or any(len(cell.parts) > 1 for cell in cells)
        or all(_DICOM_AGE.fullmatch(text) for text in single)
        or "y" in units
    )


def decimal_mark(numbers: list[str], ages: bool) -> str | None:
    """Find out which mark stands before decimals; None where the column contradicts itself.

    ``""`` says that a point does and that a comma could be either, ``",."`` that both do but before
    three digits, where either could be either, and ``"age"`` that both do, as no age has thousands.
    """
    both = {number[max(number.rfind(","), number.rfind("."))] for number in numbers
            if "," in number and "." in number}  # fmt: skip
    comma = [number.lstrip("+-") for number in numbers if "," in number and "." not in number]
    point = [number.lstrip("+-") for number in numbers if "." in number and "," not in number]
    decimal_commas = any(n.count(",") == 1 and not _GROUPED.fullmatch(n) for n in comma)
    decimal_points = any(n.count(".") == 1 and not _GROUPED.fullmatch(n) for n in point)
    many_commas = any(n.count(",") > 1 and _whole_groups(n, ",") for n in comma)
    many_points = any(n.count(".") > 1 and _whole_groups(n, ".") for n in point)
    marks = set(both)
    if many_commas:
        marks |= {".", *("," * decimal_commas)}
    if many_points:
        marks |= {",", *("." * decimal_points)}
    if decimal_commas and both:
        marks.add(",")
    if decimal_points and both == {","}:
        marks.add(".")
    if len(marks) == 2:
        return None
    if marks:
        return marks.pop()
    if ages:
        return "age"
    return ",." if decimal_commas else ""


def value_of(cell: Written, point: str | None, times: bool) -> float | None:
    """Add up the parts of a cell; None where one has no meaning, or two."""
    total = 0.0
    for text, unit in cell.parts:
        value = _value(text, point)
        if value is None:
            return None
        total += value * (TIMES.get(unit, 1.0) if times else 1.0)
    return total if cell.parts else None


def _value(text: str, point: str | None) -> float | None:
    if re.search("[,.]", text) and point is None:
        return None
    digits = text
    if re.search("[' ]", digits):
        if not re.fullmatch(r"[+-]?\d{1,3}(?:([' ])\d{3})(?:\1\d{3})*(?:[.,]\d+)?", digits):
            return None
        digits = re.sub("[' ]", "", digits)
    if point in (",", "."):
        group = "." if point == "," else ","
        whole, mark, rest = digits.partition(point)
        if group in rest or (group in whole and not _whole_groups(whole, group)):
            return None
        digits = whole.replace(group, "") + ("." + rest if mark else "")
    elif point in (",.", "age"):
        doubtful = point == ",." and _GROUPED.fullmatch(digits.lstrip("+-"))
        if doubtful or len(re.findall("[,.]", digits)) > 1:
            return None
        digits = digits.replace(",", ".")
    elif "," in digits:
        return None
    try:
        return float(digits)
    except ValueError:
        return None


def _whole_groups(text: str, mark: str) -> bool:
    return re.fullmatch(rf"[+-]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+", text) is not None
