"""What a network is to tell of each scan: a class, or a number such as age."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.tables.columns import read_numbers
from voxplain.volume import Cohort

__all__ = ["Outcome", "outcome_of", "unit_of"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The truth about each scan of a cohort, in its order.

    Parameters
    ----------
    name : str
        Column of the participants' table.
    values : array (N,)
        Class indices, int64; or numbers, float64.
    class_names : tuple of str
        Empty for numbers.
    """

    name: str
    values: NDArray[np.int64] | NDArray[np.float64]
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def outputs(self) -> int:
        """Outputs that a network needs: one logit a class, or one number."""
        return len(self.class_names) or 1

    @property
    def strata(self) -> NDArray[np.int64]:
        """What folds keep in proportion, array (N,): classes, or fifths of the range of ranks."""
        if self.class_names:
            return self.values.astype(np.int64)
        ranks = np.argsort(np.argsort(self.values, kind="stable"), kind="stable")
        return (5 * ranks // max(1, len(ranks))).astype(np.int64)

    def counts(self) -> str:
        """Say how many scans there are, ``"20 female and 21 male"``."""
        if not self.class_names:
            return f"{len(self)} scans with {self.name}"
        numbers = np.bincount(self.values.astype(np.int64), minlength=len(self.class_names))
        return " and ".join(f"{n} {c}" for n, c in zip(numbers, self.class_names, strict=True))


def outcome_of(cohort: Cohort, column: str = "label") -> Outcome:
    """Read what is to be predicted off a cohort's table.

    Parameters
    ----------
    cohort : Cohort
    column : str, default="label"
        ``label`` for the cohort's classes; else a column of numbers.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        If there is no such column, or a scan has no number or an infinite one there.
    """
    if column == "label":
        return Outcome(column, cohort.labels, cohort.class_names)
    table = cohort.participants
    if column not in table.columns:
        raise InputError(
            f"The participants have no column {column!r} to predict; they have: "
            f"{', '.join(map(str, table.columns))}."
        )
    numbers = read_numbers(table[column]).values
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(table)} scans have no finite number in column {column!r}, such as "
            f"{cohort.subjects[bad[0]]} ({table[column].iloc[bad[0]]!r}); leave them out of the "
            "cohort or choose another column."
        )
    if np.ptp(numbers) == 0:
        raise InputError(
            f"All scans have the same {column}, {numbers[0]:g}; there is nothing to predict."
        )
    return Outcome(column, numbers)


_UNITS = {
    **dict.fromkeys(("age", "years", "year", "yrs", "yr"), "years"),
    **{word: word for word in ("months", "weeks", "days", "mm", "cm", "kg", "mm3", "cm3")},
    "ml": "mL",
}


def unit_of(column: str) -> str:
    """Tell the unit of a column of numbers by its name.

    Parameters
    ----------
    column : str

    Returns
    -------
    str
        What the name ends with, where that is a unit (``brain_ml``, ``age_months``); years for an
        age; else the name itself.
    """
    words = [word.lower() for word in re.findall("[A-Z]?[a-z]+3?|[A-Z]+3?", column)]
    last = _UNITS.get(words[-1]) if words else None
    return last or ("years" if "age" in words else column)
