"""What the values of a label column mean: read from words, never guessed from numbers."""

from __future__ import annotations

import csv
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from voxplain.errors import InputError, VoxplainWarning
from voxplain.tables.cells import fold, missing, one_spelling, shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Coding", "parse_coding", "read_labels"]

Coding = Mapping[str, str]
"""From a value, as text, to the name of its class; to ``"n/a"`` where it is to be left out."""

_SEX = {
    **dict.fromkeys(("m", "male", "males", "man", "men", "boy"), "male"),
    **dict.fromkeys(("f", "female", "females", "woman", "women", "girl"), "female"),
    **dict.fromkeys(("o", "other"), "other"),
}
_UNKNOWN_SEX = ("u", "un", "uk", "x?", "nr", "nd")
# Short and long forms of one answer, read as one where a column has both.
_ANSWERS: tuple[Mapping[str, str], ...] = (
    {"t": "true", "true": "true", "f": "false", "false": "false"},
    {"y": "yes", "yes": "yes", "n": "no", "no": "no"},
    {"pos": "positive", "positive": "positive", "neg": "negative", "negative": "negative"},
)
_LEAVE_OUT = frozenset(("n/a", "na", "nan"))
_PLAINLY_EMPTY = frozenset(("", "n/a", "nan"))
_PART = re.compile(r"((?:[<>!]=|[^=])+)=((?:[<>!]=|[^=])+)")


def parse_coding(text: str) -> dict[str, str]:
    """Read a coding as users write it: ``"1=male,2=female,-9=n/a"``.

    Raises
    ------
    InputError
        If a part is not ``value=name``, or a value is given twice.
    """
    coding: dict[str, str] = {}
    for part in next(csv.reader([text], skipinitialspace=True), []):
        match = _PART.fullmatch(part.strip())
        value, name = (match[1].strip(), match[2].strip()) if match else ("", "")
        if not (value and name) or value in coding:
            raise InputError(
                f"A coding looks like 1=male,2=female,-9=n/a, each value once; {text!r} was given."
            )
        coding[value] = name
    return coding


def read_labels(
    column: pd.Series[str], coding: Coding | None = None
) -> tuple[list[str | None], str]:
    """Turn a column into names of classes.

    Words that differ by case or blanks alone are one class, named as most of them are written.
    Words for what nobody knows, such as ``unknown`` or ``-``, are missing values.

    Parameters
    ----------
    column : pandas.Series of str
    coding : Coding, optional
        What each value means; ``n/a`` leaves it out, and a coding that does nothing else leaves
        the other values as they are. Without one, words for sex are read as such, other words name
        themselves, and numbers are refused.

    Returns
    -------
    labels : list of str or None
        None where the cell is missing.
    said : str
        How values were read, and which count as missing.

    Raises
    ------
    InputError
        If numbers have no coding, stand beside words, or a value is not in the coding given.
    """
    name = str(column.name)
    cells = [_plain(value) for value in column]
    given = _given(coding or {}, name)
    empty = _empty(cells, given)
    values = sorted({cell for cell in cells if cell not in empty})
    if given and any(given.values()):
        meaning: dict[str, str | None] = _coded(values, given, name)
    else:
        meaning = {value: None for value in values if _of(value, given) is not None}
        rest = [cell for cell in cells if cell not in empty and cell not in meaning]
        meaning |= _named(rest, name)
    used = {value: meaning[value] for value in values}
    said = f"Labels from column {name!r}: {_words(used)}."
    lost = Counter(
        value for value in cells if used.get(value) is None and value not in _PLAINLY_EMPTY
    )
    if lost:
        told = ", ".join(f"{value} ({count})" for value, count in sorted(lost.items()))
        said += f" Left out, as a missing value: {told}."
    return [used.get(cell) for cell in cells], said


def _empty(cells: Sequence[str], given: Mapping[str, str | None]) -> set[str]:
    """Find the cells that stand for a missing value, unless the coding names them."""
    every = set(cells)
    empty = {cell for cell in every if missing(cell) and cell not in given}
    # Beside a plus, a minus is an answer.
    if "+" in every:
        empty -= {"-", "−", "–"}
    known = {fold(cell) for cell in every - empty}
    if {"male", "female"} <= {_SEX.get(word) for word in known}:
        empty |= {cell for cell in every if fold(cell) in _UNKNOWN_SEX and cell not in given}
    return empty


def _given(coding: Coding, column: str) -> dict[str, str | None]:
    """Write a coding's values as cells are, with None for what is to be left out."""
    names = one_spelling(coding.values())
    given: dict[str, str | None] = {}
    for value, name in coding.items():
        told = None if fold(name) in _LEAVE_OUT else names[name]
        if given.setdefault(_plain(value), told) != told:
            raise InputError(
                f"The coding of column {column!r} gives {_plain(value)!r} two meanings; give one."
            )
    return given


def _of(value: str, given: Mapping[str, str | None]) -> str | None:
    """Find the key of a coding that means a value: itself, or the one that differs by case."""
    if value in given:
        return value
    alike = [key for key in given if fold(key) == fold(value)]
    return alike[0] if len(alike) == 1 else None


def _coded(
    values: Sequence[str], given: Mapping[str, str | None], column: str
) -> dict[str, str | None]:
    keys = {value: _of(value, given) for value in values}
    unknown = [value for value, key in keys.items() if key is None]
    if unknown:
        raise InputError(
            f"Column {column!r} holds {', '.join(unknown)}, which the coding {_words(given)} does "
            f"not name; add it, or leave it out with {unknown[0]}=n/a."
        )
    return {value: given[key] for value, key in keys.items() if key is not None}


def _named(cells: Sequence[str], column: str) -> dict[str, str | None]:
    """Let words name their classes."""
    values = sorted(set(cells))
    numbers = [value for value in values if _is_number(value)]
    if numbers and len(numbers) == len(values):
        some = values if len(values) <= 4 else [*values[:3], "..."]
        raise InputError(
            f"Column {column!r} holds numbers ({', '.join(some)}); say what they mean, such "
            f"as --coding {','.join(f'{v}=NAME' for v in values[:2])}."
        )
    if numbers:
        raise InputError(
            f"Column {column!r} holds numbers ({shown(numbers)}) beside words ("
            f"{shown(value for value in values if value not in numbers)}); leave them out with "
            f"--coding {numbers[0]}=n/a, or say what each value means."
        )
    spelt = one_spelling(cells)
    folded = {value: fold(value) for value in values}
    for answers in _ANSWERS:
        if values and set(folded.values()) <= set(answers):
            both = {answers[word] for word in folded.values()}
            if len(both) < len(set(folded.values())):
                return {value: answers[folded[value]] for value in values}
    sexes = {value: _SEX[word] for value, word in folded.items() if word in _SEX}
    if {"male", "female"} <= set(sexes.values()) or len(sexes) == len(values):
        others = [value for value in values if value not in sexes]
        if others:
            warnings.warn(
                f"Column {column!r} holds {shown(others)} beside words for sex; each is a class of "
                f"its own unless it is left out (--coding {others[0]}=n/a) or named.",
                VoxplainWarning,
                stacklevel=3,
            )
        return {value: sexes.get(value, spelt[value]) for value in values}
    return dict(spelt)


def _plain(value: object) -> str:
    """Write 1, 1.0 and " 1 " alike, on one line."""
    text = " ".join(str(value).split())
    if _is_number(text) and float(text).is_integer():
        return str(int(float(text)))
    return text


def _is_number(text: str) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return number == number


def _words(coding: Mapping[str, str | None]) -> str:
    kept: Iterable[tuple[str, str]] = ((value, name or "n/a") for value, name in coding.items())
    return ", ".join(f"{value} = {name}" if value != name else name for value, name in kept)
