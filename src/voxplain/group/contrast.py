"""Many numbers a subject, two classes: which of them differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from voxplain.errors import InputError

__all__ = ["compare_classes", "mean_by_participant"]


def mean_by_participant(
    values: NDArray[np.float64], participants: Sequence[str], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Average the scans of each participant, so that a test may take its rows as independent.

    Several scans of one person say little more of a class than one: taken for so many people, they
    make differences out of nothing.

    Parameters
    ----------
    values : array (N, C)
        A row per scan.
    participants : sequence of N str
        Whose scan each row is.
    labels : array (N,)
        Class index of each scan.

    Returns
    -------
    values : array (P, C)
        A row per participant, in the order in which they first appear.
    labels : array (P,)

    Raises
    ------
    InputError
        If a participant has scans of two classes.
    """
    names, first, whose = np.unique(
        np.asarray(participants, dtype=str), return_index=True, return_inverse=True
    )
    mixed = np.unique(whose[labels != labels[first][whose]])
    if len(mixed):
        raise InputError(
            f"Classes are compared between different participants; {len(mixed)} of {len(names)} "
            f"have scans of more than one class, such as {names[mixed[0]]}. Give each participant "
            "one class, or keep the scans of one class alone."
        )
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, whose, values)
    order = np.argsort(first)
    means = sums / np.bincount(whose)[:, None]
    return means[order], labels[first][order]


def compare_classes(
    values: NDArray[np.float64], labels: NDArray[np.int64], class_names: tuple[str, ...]
) -> pd.DataFrame:
    """Compare two classes in each of many measures.

    Parameters
    ----------
    values : array (N, C)
        A row per subject: rows are taken as independent, see `mean_by_participant`.
    labels : array (N,)
        Class indices 0 and 1.
    class_names : tuple of 2 str

    Returns
    -------
    pandas.DataFrame
        A row per measure: ``mean_<class>`` and ``sd_<class>``, ``t`` (Welch, the second class less
        the first), ``df``, ``p``, ``q`` (Benjamini and Hochberg 1995) and ``g`` (Hedges 1981, the
        standardised difference corrected for small samples). A measure that is constant in both
        classes has t and g of 0 and p of 1.

    Raises
    ------
    InputError
        If there are not two classes with two subjects each.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    if len(class_names) != 2 or counts.min() < 2:
        told = ", ".join(f"{n} {name}" for n, name in zip(counts, class_names, strict=True))
        raise InputError(
            f"A comparison needs two classes of two subjects or more; there are {told}."
        )
    first, second = values[labels == 0], values[labels == 1]
    varied = (first.var(axis=0) > 0) | (second.var(axis=0) > 0)
    found = stats.ttest_ind(second[:, varied], first[:, varied], equal_var=False)
    table = pd.DataFrame(index=range(values.shape[1]))
    for name, part in zip(class_names, (first, second), strict=True):
        table[f"mean_{name}"], table[f"sd_{name}"] = part.mean(axis=0), part.std(axis=0, ddof=1)
    for name, given, else_ in (
        ("t", found.statistic, 0.0),
        ("df", found.df, np.nan),
        ("p", found.pvalue, 1.0),
    ):
        column = np.full(values.shape[1], else_)
        column[varied] = given
        table[name] = column
    table["q"] = stats.false_discovery_control(table["p"].to_numpy())
    a, b = int(counts[0]), int(counts[1])
    pooled = ((a - 1) * first.var(axis=0, ddof=1) + (b - 1) * second.var(axis=0, ddof=1)) / (
        a + b - 2
    )
    spread = np.sqrt(np.where(varied, pooled, 1.0))
    shrunk = 1 - 3 / (4 * (a + b - 2) - 1)
    table["g"] = shrunk * (second.mean(axis=0) - first.mean(axis=0)) / spread
    return table
