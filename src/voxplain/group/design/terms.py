"""Terms of a model: columns of a table, read as numbers or as categories."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError, unknown_name
from voxplain.tables.cells import missing, shown
from voxplain.tables.columns import numbers_or_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MEAN", "Term", "read_terms"]

MEAN = "1"
"""The term that stands for the mean over all scans."""

_CATEGORY = re.compile(r"C\((.+)\)")
_CATEGORIES = frozenset(
    ("class", "label", "sex", "gender", "diagnosis", "group", "fold", "site", "scanner", "center",
     "centre", "network", "session_id", "run_id")
)  # fmt: skip
_ALIAS = {"class": "label"}
_NAMES_SHOWN = 4


@dataclass(frozen=True, eq=False)
class Term:
    """One term of a model.

    Parameters
    ----------
    name : str
        As the model writes it.
    columns : array (N, K), float64
        One column of a number; of a category one indicator of each level but the first.
    levels : tuple of str
        Of a category, in the order of the classes or of the alphabet; empty for a number.
    """

    name: str
    columns: NDArray[np.float64]
    levels: tuple[str, ...] = ()

    def titles(self) -> tuple[str, ...]:
        """Name each column."""
        if not self.levels:
            return (self.name,)
        return tuple(f"{self.name}: {level}" for level in self.levels[1:])


def read_terms(
    model: str, table: pd.DataFrame, subjects: tuple[str, ...], class_names: tuple[str, ...] = ()
) -> list[Term]:
    """Read a model such as ``"class + age + brain_ml + site"``.

    Parameters
    ----------
    model : str
        Names of columns with ``+`` between them. ``class`` stands for the column ``label``; ``1``
        for the mean, which every model has; ``C(name)`` takes a column of numbers as categories.
        Columns of words, and those called class, sex, group, fold, site or the like, are always
        categories. There are no interactions: make a column of the product.
    table : pandas.DataFrame
        A row per scan.
    subjects : tuple of N str
        Labels of the scans.
    class_names : tuple of str
        Order of the levels of ``class``.

    Returns
    -------
    list of Term
        In the order of the model; the mean, where it is written, has a column of ones.

    Raises
    ------
    InputError
        If a term is unknown or written twice, a cell is missing or not finite, a column is
        constant, or a category has a level with one scan alone.
    """
    written = [part.strip() for part in model.split("+")]
    if not all(written):
        raise InputError(
            f"The model {model!r} has an empty term; write columns with + between them, such as "
            "'class + age'."
        )
    if len(set(written)) < len(written):
        raise InputError(f"The model {model!r} names a term twice.")
    return [_read(name, table, subjects, class_names) for name in written]


def _read(
    name: str, table: pd.DataFrame, subjects: tuple[str, ...], class_names: tuple[str, ...]
) -> Term:
    if name == MEAN:
        return Term(MEAN, np.ones((len(subjects), 1)))
    forced = _CATEGORY.fullmatch(name)
    column = table[_column(forced.group(1).strip() if forced else name, table)]
    where = [subject for subject, cell in zip(subjects, column, strict=True) if missing(cell)]
    if where:
        raise InputError(
            f"Column {name!r} of the model has no value for {len(where)} of {len(subjects)} scans, "
            f"such as {shown(where)}; fill the cells, or leave these scans or the column out."
        )
    label = str(column.name).lower()
    if forced or label in _CATEGORIES or name.lower() in _CATEGORIES:
        values: object = column.map(_word)
    else:
        values = numbers_or_words(column)
    if isinstance(values, np.ndarray):
        return _number(name, values, subjects)
    is_class = label == "label" and set(column) <= set(class_names)
    return _category(name, [str(v) for v in values], subjects, class_names if is_class else ())  # type: ignore[attr-defined]


def _column(name: str, table: pd.DataFrame) -> str:
    by_lower = {str(column).lower(): str(column) for column in table.columns}
    found = by_lower.get(name.lower()) or by_lower.get(_ALIAS.get(name.lower(), ""))
    if found:
        return found
    if any(sign in name for sign in "*:~-"):
        raise InputError(
            f"The term {name!r} cannot be read; a model is columns with + between them, without "
            "interactions, such as 'class + age'."
        )
    raise unknown_name("column", name, ["class", MEAN, *by_lower.values()])


def _word(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _number(name: str, values: NDArray[np.float64], subjects: tuple[str, ...]) -> Term:
    bad = [subject for subject, one in zip(subjects, values, strict=True) if not np.isfinite(one)]
    if bad:
        raise InputError(
            f"Column {name!r} of the model has no finite number for {len(bad)} of {len(subjects)} "
            f"scans, such as {shown(bad)}; fill the cells, or leave these scans or the column out."
        )
    if np.ptp(values) == 0:
        raise InputError(f"Column {name!r} is {values[0]:g} for all scans; leave it out.")
    return Term(name, values[:, None].astype(np.float64))


def _category(
    name: str, words: list[str], subjects: tuple[str, ...], order: tuple[str, ...]
) -> Term:
    found = np.array(words)
    levels = [level for level in (order or sorted(set(words))) if level in set(words)]
    if len(levels) < 2:
        raise InputError(f"Column {name!r} is {levels[0]!r} for all scans; leave it out.")
    counts = {level: int((found == level).sum()) for level in levels}
    single = [level for level, count in counts.items() if count == 1]
    if single:
        who = subjects[words.index(single[0])]
        more = f" (and {len(single) - 1} other levels have one each)" * (len(single) > 1)
        raise InputError(
            f"{name} {single[0]!r} has one scan, {who}{more}: a level needs two or more; leave the "
            "scan out, or join levels."
        )
    columns = np.stack([found == level for level in levels[1:]], axis=1).astype(np.float64)
    return Term(name, columns, tuple(levels))
