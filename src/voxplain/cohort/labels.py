"""What the values of a label column mean: read from words, never guessed from numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from voxplain.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Coding", "missing", "parse_coding", "read_labels"]

Coding = Mapping[str, str]
"""From a value, as text, to the name of its class."""

_MISSING = frozenset({"", "n/a", "na", "nan", "none", "null", "."})
_SEX = {
    **dict.fromkeys(("m", "male", "man"), "male"),
    **dict.fromkeys(("f", "female", "woman"), "female"),
    **dict.fromkeys(("o", "other"), "other"),
}


def missing(value: object) -> bool:
    """Tell whether a cell of a table holds nothing, in any of the ways that people write it."""
    return str(value).strip().lower() in _MISSING


def parse_coding(text: str) -> dict[str, str]:
    """Read a coding as users write it: ``"1=male,2=female"``.

    Raises
    ------
    InputError
        If a part is not ``value=name``, or a value is given twice.
    """
    coding: dict[str, str] = {}
    for part in text.split(","):
        value, equals, name = (piece.strip() for piece in part.partition("="))
        if not (value and equals and name) or value in coding:
            raise InputError(
                f"A coding looks like 1=male,2=female, each value once; {text!r} was given."
            )
        coding[value] = name
    return coding


def read_labels(
    column: pd.Series[str], coding: Coding | None = None
) -> tuple[list[str | None], str]:
    """Turn a column into names of classes.

    Parameters
    ----------
    column : pandas.Series of str
    coding : Coding, optional
        What each value means; without one, words for sex are read as such, other words name
        themselves, and numbers are refused.

    Returns
    -------
    labels : list of str or None
        None where the cell is missing.
    said : str
        How values were read, a sentence.

    Raises
    ------
    InputError
        If numbers have no coding, or a value is not in the coding given.
    """
    cells = [None if missing(value) else _plain(value) for value in column]
    values = sorted({cell for cell in cells if cell is not None})
    given = None if coding is None else {_plain(value): name for value, name in coding.items()}
    if given is not None:
        unknown = [value for value in values if value not in given]
        if unknown:
            raise InputError(
                f"Column {column.name!r} holds {', '.join(unknown)}, which the coding "
                f"{_words(given)} does not name."
            )
    elif values and all(_is_number(value) for value in values):
        shown = values if len(values) <= 4 else [*values[:3], "..."]
        raise InputError(
            f"Column {column.name!r} holds numbers ({', '.join(shown)}); say what they mean, such "
            f"as --coding {','.join(f'{v}=NAME' for v in values[:2])}."
        )
    elif values and all(value.lower() in _SEX for value in values):
        given = {value: _SEX[value.lower()] for value in values}
    else:
        given = {value: value for value in values}
    used = {value: given[value] for value in values}
    return [None if cell is None else used[cell] for cell in cells], (
        f"Labels from column {column.name!r}: {_words(used)}."
    )


def _plain(value: object) -> str:
    """Write 1, 1.0 and " 1 " alike, on one line."""
    text = " ".join(str(value).split())
    if _is_number(text) and float(text).is_integer():
        return str(int(float(text)))
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _words(coding: Coding) -> str:
    return ", ".join(
        f"{value} = {name}" if value != name else name for value, name in coding.items()
    )
