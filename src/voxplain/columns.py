"""Columns of tables: numbers as people write them, or words for groups."""

from __future__ import annotations

import itertools
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.cells import missing, one_spelling, shown, visible
from voxplain.errors import InputError, VoxplainWarning

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Numbers", "numbers_or_words", "read_numbers"]

_DAYS_IN_A_YEAR = 365.25
_TIMES = {
    **dict.fromkeys(("y", "yr", "yrs", "year", "years", "yo", "y/o", "yearold", "yearsold"), 1.0),
    **dict.fromkeys(("a", "jahr", "jahre", "an", "ans", "anos", "anni"), 1.0),
    **dict.fromkeys(("m", "mo", "mos", "mth", "mths", "month", "months", "monate"), 1 / 12),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 7 / _DAYS_IN_A_YEAR),
    **dict.fromkeys(("d", "day", "days"), 1 / _DAYS_IN_A_YEAR),
}
_DICOM_AGE = re.compile(r"\d{3}[DWMY]")
_NUMBER = r"[+-]?(?:[.,]?\d(?:[\d.,' ]*\d)?[.,]?(?:[eE][+-]?\d+)?|inf(?:inity)?)"
_PART = re.compile(rf"({_NUMBER})\s*([^\W\d_][^\d+,;<>=-]*|%)?", re.IGNORECASE)
_UNITS = frozenset(
    ("ml", "l", "dl", "cc", "cm3", "mm3", "m", "cm", "mm", "in", "ft", "kg", "g", "lb", "lbs", "%")
)
_SITE = re.compile(r"(site|scanner|cent(er|re)|release)s?([_ ]?(id|code|name|number))?", re.I)
_AGE = re.compile(r"(^|[_ ])age([_ ]|$)", re.IGNORECASE)
# 1,234 or 1.234: a thousand and more, or one and some.
_GROUPED = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_MOST_SINGLE = 10
_OLDEST = 130


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column of a table, read as numbers.

    Parameters
    ----------
    values : array (N,), float64
        NaN where a cell is missing or holds no number; times in years.
    unread : tuple of str
        Cells that are not missing and hold no number, or one of two meanings; each once.
    numeric : bool
        Whether most of the cells that are not missing were written as numbers.
    """

    values: NDArray[np.float64]
    unread: tuple[str, ...] = ()
    numeric: bool = True


@dataclass(frozen=True)
class _Cell:
    """Parts of a cell: numbers as they are written, each with its unit."""

    text: str
    parts: tuple[tuple[str, str], ...]


def read_numbers(column: pd.Series[Any]) -> Numbers:
    """Read a column's numbers as people write them.

    Decimal commas, groups of thousands, units, DICOM's ages (``045Y``) and compound ones
    (``45 years 3 months``) are understood, from the column as a whole. Nothing is guessed: a cell
    that may mean two numbers, such as ``1,234`` in a column that does not tell, is not read.

    Parameters
    ----------
    column : pandas.Series

    Returns
    -------
    Numbers
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return _without_codes(column, values)
    cells = [None if missing(value) else _parsed(str(value)) for value in column]
    known = [cell for cell in cells if cell is not None]
    ages = bool(_AGE.search(str(column.name)))
    point = _decimal_mark([part for cell in known for part, _ in cell.parts], ages)
    units = {unit for cell in known for _, unit in cell.parts}
    times = _are_times(str(column.name), known, units)
    plain = {unit for unit in units if unit and not (times and unit in _TIMES)}
    values = np.full(len(cells), np.nan)
    unread: dict[str, None] = {}
    for i, cell in enumerate(cells):
        if cell is None:
            continue
        # Of several units that are no times, nobody can say what the numbers mean.
        mixed = len(plain) > 1 or (plain and times)
        told = not (mixed and any(unit for _, unit in cell.parts))
        number = _number(cell, point, times) if told else None
        if number is None:
            unread[cell.text] = None
        else:
            values[i] = number
    shorter = times and any(_TIMES.get(unit, 1.0) < 1 for unit in units)
    if shorter and "" in units:
        _warn(
            f"Column {str(column.name)!r} holds numbers without a unit beside months, weeks or "
            "days; they are taken for years."
        )
    numeric = sum(bool(cell.parts) for cell in known) > 0.5 * len(known)
    # A code such as 1A is no number of the unit A.
    numeric &= len(plain) < 2 or plain <= _UNITS
    found = _without_codes(column, values)
    return Numbers(found.values, (*unread, *found.unread), numeric and bool(known))


def numbers_or_words(column: pd.Series[Any]) -> NDArray[np.float64] | pd.Series[Any]:
    """Read a column as numbers where most of it is, and else as words for groups.

    Parameters
    ----------
    column : pandas.Series
        One of sites or scanners holds words, whatever they look like.

    Returns
    -------
    array (N,), float64
        Of numbers; NaN where there is none, which is warned of if the cell was not missing.
    pandas.Series of str
        Of words, those that differ by case or blanks alone spelt alike; None where missing.

    Raises
    ------
    InputError
        If no number can be read, or nearly every word is another one, so that they make no groups.
    """
    name = str(column.name)
    if _SITE.fullmatch(name):
        return _words(column)
    found = read_numbers(column)
    some = shown(found.unread)
    if not found.numeric:
        words = _words(column)
        if np.isfinite(found.values).any():
            _warn(
                f"Column {name!r} holds words beside numbers, such as {some}; each is taken for a "
                "group."
            )
        return words
    if not np.isfinite(found.values).any():
        raise InputError(
            f"Column {name!r} holds no number of one meaning ({some}); write its numbers with a "
            "decimal point, without commas, blanks or several units."
        )
    if found.unread:
        _warn(f"Column {name!r} holds numbers, but for {some}; such cells count as missing.")
    return found.values


def _words(column: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    cells = [None if missing(value) else _plain(value) for value in column]
    spelt = one_spelling(cell for cell in cells if cell is not None)
    known = len(cells) - cells.count(None)
    count = len(set(spelt.values()))
    if count > _MOST_SINGLE and 2 * count > known:
        raise InputError(
            f"Column {str(column.name)!r} holds neither numbers nor groups: there are {count} "
            f"different words ({shown(spelt)}) for {known} scans; write its numbers as such, or "
            "leave the column out."
        )
    told = [None if cell is None else spelt[cell] for cell in cells]
    return pd.Series(told, index=column.index, name=column.name, dtype=object)


def _plain(value: object) -> str:
    """Write a whole number alike, whether the column had gaps or none."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _warn(text: str) -> None:
    warnings.warn(text, VoxplainWarning, stacklevel=3)


def _parsed(text: str) -> _Cell:
    """Split a cell into numbers and units; without parts where it holds anything else."""
    plain = " ".join(visible(text).replace("−", "-").replace("’", "'").split()).strip("'\"")
    parts: list[tuple[str, str]] = []
    at = 0
    while at < len(plain):
        match = _PART.match(plain, at)
        if match is None:
            return _Cell(text, ())
        unit = re.sub(r"[\s.]", "", match[2] or "").casefold()
        parts.append((match[1], unit.removesuffix("and")))
        at = match.end()
        while at < len(plain) and plain[at] in " ,":
            at += 1
    if len(parts) > 1 and not _compound([unit for _, unit in parts]):
        return _Cell(text, ())
    return _Cell(text, tuple(parts))


def _compound(units: list[str]) -> bool:
    """Whether units make one time: years, then months, and so on, each once."""
    sizes = [_TIMES.get(unit, 0.0) for unit in units]
    return all(a > b > 0 for a, b in itertools.pairwise(sizes))


def _are_times(name: str, cells: list[_Cell], units: set[str]) -> bool:
    """Whether units such as m and d stand for months and days in this column."""
    if any(len(unit) > 1 and unit in _TIMES for unit in units):
        return True
    single = [cell.text.strip() for cell in cells if any(len(u) == 1 for _, u in cell.parts)]
    if not any(unit in _TIMES for unit in units):
        return False
    return (
        bool(_AGE.search(name))
        or any(len(cell.parts) > 1 for cell in cells)
        or all(_DICOM_AGE.fullmatch(text) for text in single)
        or "y" in units
    )


def _decimal_mark(numbers: list[str], ages: bool) -> str | None:
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
    marks = set(both)
    if decimal_commas and (both or any(n.count(".") > 1 for n in point)):
        marks.add(",")
    if any(n.count(",") > 1 for n in comma):
        marks |= {".", *("," * decimal_commas)}
    if any(n.count(".") > 1 for n in point):
        marks |= {",", *("." * decimal_points)}
    if both == {","} and decimal_points:
        marks.add(".")
    if len(marks) == 2:
        return None
    if marks:
        return marks.pop()
    if ages:
        return "age"
    return ",." if decimal_commas else ""


def _number(cell: _Cell, point: str | None, times: bool) -> float | None:
    """Add up the parts of a cell; None where one has no meaning, or two."""
    total = 0.0
    for text, unit in cell.parts:
        value = _value(text, point)
        if value is None:
            return None
        total += value * (_TIMES.get(unit, 1.0) if times else 1.0)
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


def _without_codes(column: pd.Series[Any], values: NDArray[np.float64]) -> Numbers:
    """Take codes that stand for a missing age, such as -9 or 999, out of a column of ages."""
    finite = values[np.isfinite(values)]
    if not len(finite) or not _AGE.search(str(column.name)):
        return Numbers(values)
    # One and the same negative number is a code; many are scores.
    negative = set(finite[finite < 0])
    codes = {n for n in negative if len(negative) == 1 and n in (-1, -4, -7, -8, -9, -99, -999)}
    if np.median(finite) <= _OLDEST:
        codes |= {n for n in set(finite) if n in (777, 888, 999, 9999)}
    odd = np.isin(values, list(codes))
    return Numbers(np.where(odd, np.nan, values), tuple(f"{n:g}" for n in sorted(codes)))
