"""Scans that must not be split between training and test: those of one person, family or site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet

from voxplain.errors import InputError
from voxplain.fit.outcome import Outcome
from voxplain.tables.cells import fold, missing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["find_groups", "joined_groups"]

_PARENTS = ("mother_id", "father_id", "mother", "father")
_FAMILY = ("family_id", "family", "familyid", *_PARENTS)
_SITE = ("site", "site_id", "scanner", "scanner_id")


def find_groups(
    table: pd.DataFrame, outcome: Outcome, folds: int, asked: str = "auto"
) -> tuple[NDArray[np.int64] | None, str]:
    """Decide which scans stay on one side of every split.

    Parameters
    ----------
    table : pandas.DataFrame
        Of the participants.
    outcome : Outcome
    folds : int
    asked : str, default="auto"
        A column, several with commas between, ``"none"``, or ``"auto"``: scans of one participant
        and of one family stay together, and those of one site where each class has scans at as
        many sites as there are folds.

    Returns
    -------
    groups : array (N,) or None
        None where every scan stands alone.
    said : str
        What was decided, a sentence.

    Raises
    ------
    InputError
        If a column that was asked for is missing.
    """
    names = {str(name).lower(): str(name) for name in table.columns}
    if asked == "none":
        together = find_groups(table, outcome, folds)[0]
        return None, "Scans are split one by one, as --group none asks" + (
            "." if together is None else
            ", although some belong together: expect scores that are too good."
        )  # fmt: skip
    if asked != "auto":
        wanted = [part.strip() for part in asked.split(",")]
        for name in wanted:
            if name.lower() not in names:
                raise InputError(
                    f"The participants have no column {name!r} to group by; they have: "
                    f"{', '.join(map(str, table.columns))}; or take auto or none."
                )
        columns = [names[name.lower()] for name in wanted]
        return _grouped(table, columns), f"Scans of one {' or '.join(columns)} stay together."
    columns = [name for name in ("participant_id",) if table[name].duplicated().any()]
    columns += [names[name] for name in _FAMILY if name in names]
    columns = [name for name in columns if _known(table[name]).duplicated().any()]
    notes = []
    for name in (names[name] for name in _SITE if name in names):
        sites = _known(table[name])
        if sites.nunique() < 2:
            continue
        each = [sites[outcome.strata[sites.index] == c].nunique() for c in set(outcome.strata)]
        if outcome.class_names and min(each) >= folds:
            columns.append(name)
        else:
            notes.append(f"sites ({name}) are mixed in all folds; --group {name} keeps them apart")
    said = (
        f"Scans of one {' or '.join(columns)} stay together"
        if columns
        else "No participant, family or site has to be kept together"
    )
    groups = _grouped(table, columns) if columns else None
    return groups, "; ".join([said, *notes]) + "."


def _known(column: pd.Series[str]) -> pd.Series[str]:
    # In a pedigree, 0 stands for a parent who is not known.
    parent = str(column.name).lower() in _PARENTS
    text = column.map(fold).str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
    return text[~column.map(missing) & ~(parent & (text == "0"))]


def _grouped(table: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    values = []
    for name in columns:
        known = _known(table[name])
        values.append([known.get(i) for i in table.index])
    return joined_groups(values)


def joined_groups(columns: Sequence[Sequence[object]]) -> NDArray[np.int64]:
    """Give one number to scans that share a value in any column.

    Parameters
    ----------
    columns : sequence of sequences of N values
        Such as participants, families and sites; None says nothing.

    Returns
    -------
    array (N,)
    """
    count = len(columns[0])
    together = DisjointSet(range(count))
    for column in columns:
        first: dict[object, int] = {}
        for i, value in enumerate(column):
            if value is not None:
                together.merge(first.setdefault(value, i), i)
    number: dict[int, int] = {}
    return np.array([number.setdefault(together[i], len(number)) for i in range(count)], np.int64)
