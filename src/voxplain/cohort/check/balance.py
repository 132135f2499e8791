"""How well size, age and site alone tell the classes apart: what a network could have learnt."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxplain.cohort.check.separation import separation_of_levels, separation_of_numbers
from voxplain.errors import InputError, VoxplainWarning
from voxplain.tables.columns import numbers_or_words
from voxplain.volume import Cohort

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Balance", "balance", "matched_by_size"]

_WARN_AUC = 0.6


@dataclass(frozen=True)
class Balance:
    """What one covariate alone says about the label.

    Parameters
    ----------
    name : str
        Column of the participants' table.
    auc : float
        Area under the ROC curve, for more than two classes the mean over pairs. Of a number, that
        of the number itself, in the sense in which it is .5 or more; of levels such as sites, that
        of pairs of participants that had no part in ordering the levels.
    by_class : dict of str to str
        What the covariate looks like in each class.
    telling : bool
        Whether a reader should be warned: the lower end of the interval lies above .5, and the
        area at or above .6.
    interval : tuple of 2 floats
        95 % interval of the area, see `voxplain.cohort.check.separation`.
    n : int
        Participants with a value.
    """

    name: str
    auc: float
    by_class: dict[str, str]
    telling: bool
    interval: tuple[float, float]
    n: int


def balance(cohort: Cohort, columns: Sequence[str] | None = None) -> list[Balance]:
    """Predict the label from one covariate at a time.

    Parameters
    ----------
    cohort : Cohort
    columns : sequence of str, optional
        By default brain volume, age, site and the like, as far as the table has them.

    Returns
    -------
    list of Balance
        Columns that are constant or without values for a class are left out.
    """
    # Several scans of one participant say no more of the balance than the first.
    first = ~cohort.participants["participant_id"].duplicated()
    table, labels = cohort.participants[first], cohort.labels[first.to_numpy()]
    names = (
        [name for name in table.columns if name.lower() in _USUAL] if columns is None else columns
    )
    out = []
    for name in names:
        if name not in table.columns:
            raise InputError(f"The participants have no column {name!r} to look at.")
        found = _one(table[name], labels, cohort.class_names)
        if found is not None:
            out.append(found)
    return out


_USUAL = frozenset(
    (
        "brain_ml",
        "tiv_ml",
        "etiv",
        "age",
        "age_in_yrs",
        "age_at_scan",
        "site",
        "site_id",
        "scanner",
        "release",
    )
)


def _one(
    column: pd.Series[str], every: NDArray[np.int64], class_names: Sequence[str]
) -> Balance | None:
    import pandas as pd

    try:
        read = numbers_or_words(column)
    except InputError as error:
        warnings.warn(f"{error} It is not looked at.", VoxplainWarning, stacklevel=4)
        return None
    number = isinstance(read, np.ndarray)
    every_value = pd.Series(read, index=column.index)
    known = every_value.notna().to_numpy()
    labels = every[known]
    counts = np.bincount(labels, minlength=len(class_names))
    values = every_value[known]
    if values.nunique() < 2 or counts.min() < 2:
        return None
    if number:
        found = separation_of_numbers(values.to_numpy(dtype=np.float64), labels, len(counts))
        told = {
            name: f"{values[labels == i].mean():.1f} ± {values[labels == i].std():.1f}"
            for i, name in enumerate(class_names)
        }
    else:
        found = separation_of_levels(pd.factorize(values)[0], labels, len(counts))
        told = {
            name: ", ".join(f"{k} {n}" for k, n in values[labels == i].value_counts().items())
            for i, name in enumerate(class_names)
        }
    telling = found.low > 0.5 and found.auc >= _WARN_AUC
    interval = (found.low, found.high)
    return Balance(str(column.name), found.auc, told, telling, interval, int(known.sum()))


def matched_by_size(
    labels: Sequence[str],
    brain_ml: Sequence[float],
    class_names: Sequence[str],
    within_ml: float = 25.0,
) -> list[int]:
    """Choose as many pairs of both classes as possible whose brains are of a size.

    Parameters
    ----------
    labels : sequence of str
    brain_ml : sequence of float, mL
        Brain volume of each participant.
    class_names : sequence of 2 str
    within_ml : float, mL, default=25.0
        Largest difference within a pair.

    Returns
    -------
    list of int
        Positions, in order; as many of one class as of the other.

    Raises
    ------
    InputError
        If there are not two classes, or no pair is of a size.
    """
    if len(class_names) != 2:
        raise InputError(f"Matching by size needs two classes; there are {len(class_names)}.")
    size = np.asarray(brain_ml, dtype=np.float64)
    first, second = (
        sorted((i for i, label in enumerate(labels) if label == name), key=lambda i: size[i])
        for name in class_names
    )
    # Both in order of size: pairing the smallest two that fit never costs a pair.
    chosen: list[int] = []
    i = j = 0
    while i < len(first) and j < len(second):
        gap = size[first[i]] - size[second[j]]
        if abs(gap) <= within_ml:
            chosen += [first[i], second[j]]
            i, j = i + 1, j + 1
        elif gap < 0:
            i += 1
        else:
            j += 1
    if not chosen:
        raise InputError(f"No two brains of different classes are within {within_ml:g} mL of size.")
    return sorted(chosen)
