"""Tables of a page: their cells, and which columns hold numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from voxplain.errors import InputError
from voxplain.report.words.numbers import cell

__all__ = ["Table"]

_FIGURE: Final = re.compile(r"(?:< )?−?\d*\.?\d+(?:×10[⁻⁰¹²³⁴-⁹]+)?(?: %)?")


@dataclass(frozen=True)
class Table:
    """Rows of values; numbers are written with three decimals, what is missing as a dash.

    Parameters
    ----------
    columns : tuple of str
    rows : tuple of tuple
        Texts, numbers, intervals (pairs), truth values or None, one per column.
    caption : str
    note : str
        Small print below.
    highlight : frozenset of int
        Positions of rows that stand out.

    Raises
    ------
    InputError
        If a row has another number of cells than there are columns.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    caption: str = ""
    note: str = ""
    highlight: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(
                    f"A row of the table {self.caption!r} has {len(row)} cells for "
                    f"{len(self.columns)} columns."
                )

    @property
    def cells(self) -> list[list[str]]:
        """The rows as they are written."""
        return [[cell(value) for value in row] for row in self.rows]

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers or intervals, and are set flush right.

        Numbers that are written out already (``"< .001"``, ``"3.1×10⁻⁵"``) count, but in the first
        column, whose texts are names.
        """
        return [
            _are_numbers(column) or (position > 0 and _are_written(column))
            for position, column in enumerate(zip(*self.rows, strict=True))
        ] or [False] * len(self.columns)


def _are_numbers(column: Sequence[object]) -> bool:
    return any(map(_is_number, column)) and not any(isinstance(one, str) for one in column)


def _are_written(column: Sequence[object]) -> bool:
    told = [one for one in column if one is not None]
    return bool(told) and all(isinstance(one, str) and _FIGURE.fullmatch(one) for one in told)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | tuple | list) and not isinstance(value, bool)
