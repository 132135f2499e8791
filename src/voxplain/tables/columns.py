"""Columns of tables: numbers as people write them, or words for groups."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError, VoxplainWarning
from voxplain.tables.cells import missing, one_spelling, shown
from voxplain.tables.numerals import TIMES, are_times, decimal_mark, parse, value_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Numbers", "numbers_or_words", "read_numbers"]

_UNITS = frozenset(
    ("ml", "l", "dl", "cc", "cm3", "mm3", "m", "cm", "mm", "in", "ft", "kg", "g", "lb", "lbs", "%")
)
_SITE = re.compile(r"(site|scanner|cent(er|re)|release)s?([_ ]?(id|code|name|number))?", re.I)
_AGE = re.compile(r"(^|[_ ])age([_ ]|$)", re.IGNORECASE)
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
    cells = [None if missing(value) else parse(str(value)) for value in column]
    known = [cell for cell in cells if cell is not None]
    ages = bool(_AGE.search(str(column.name)))
    point = decimal_mark([part for cell in known for part, _ in cell.parts], ages)
    units = {unit for cell in known for _, unit in cell.parts}
    times = are_times(ages, known, units)
    plain = Counter(unit for cell in known for _, unit in cell.parts)
    plain = Counter({u: n for u, n in plain.items() if u and not (times and u in TIMES)})
    # One letter, or letters behind a few numbers, make a code such as 1A and are no unit.
    codes = {
        unit
        for unit, n in plain.items()
        if unit not in _UNITS and ((len(unit) == 1 and unit.isascii()) or 2 * n < len(known))
    }
    mixed = len(plain.keys() - codes) > 1 or (times and bool(plain.keys() - codes))
    values = np.full(len(cells), np.nan)
    unread: dict[str, None] = {}
    for i, cell in enumerate(cells):
        if cell is None:
            continue
        # Of several units that are no times, nobody can say what the numbers mean.
        told = not any(unit and (mixed or unit in codes) for _, unit in cell.parts)
        number = value_of(cell, point, times) if told else None
        if number is None:
            unread[cell.text] = None
        else:
            values[i] = number
    shorter = times and any(TIMES.get(unit, 1.0) < 1 for unit in units)
    if shorter and "" in units:
        _warn(
            f"Column {str(column.name)!r} holds numbers without a unit beside months, weeks or "
            "days; they are taken for years."
        )
    written = [cell.parts and not any(unit in codes for _, unit in cell.parts) for cell in known]
    numeric = sum(map(bool, written)) > 0.5 * len(known)
    numeric &= len(plain.keys() - codes) < 2 or plain.keys() - codes <= _UNITS
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
