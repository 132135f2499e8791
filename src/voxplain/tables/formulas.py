"""Cells that a spreadsheet would take for a formula, written so that it does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["given_cell", "given_table", "plain_cell", "plain_lines", "plain_table"]

# What begins a formula in some spreadsheet, also in the wide forms of East Asian keyboards.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠].")

Name = TypeVar("Name", bound=Hashable)


def plain_cell(value: Name) -> Name | str:
    """Put an apostrophe before a text that begins as formulas do; numbers stay numbers."""
    if not isinstance(value, str) or not _FORMULA.match(value) or _is_number(value):
        return value
    return f"'{value}"


def given_cell(value: Name) -> Name | str:
    """Undo `plain_cell`."""
    if isinstance(value, str) and value.startswith("'") and _FORMULA.match(value):
        return value[1:]
    return value


def plain_table(table: pd.DataFrame) -> pd.DataFrame:
    """Write the cells and the names of columns of a table by `plain_cell`."""
    return _changed(table, plain_cell)


def given_table(table: pd.DataFrame) -> pd.DataFrame:
    """Undo `plain_table`."""
    return _changed(table, given_cell)


def plain_lines(rows: Iterable[Sequence[str]]) -> str:
    """Write rows with tabs between cells, by `plain_cell`; tabs inside cells become blanks."""
    lines = ("\t".join(plain_cell(" ".join(re.split(r"[\t\r\n]", c))) for c in row) for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _changed(table: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    found = table.copy()
    for name in table.select_dtypes(exclude=["number", "bool"]):
        cells = [change(cell) for cell in table[name]]
        if any(new is not old for new, old in zip(cells, table[name], strict=True)):
            found[name] = cells
    return found.set_axis([change(name) for name in found.columns], axis=1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
