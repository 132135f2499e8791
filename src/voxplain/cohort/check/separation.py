"""How well one covariate tells classes apart, with an interval that covers."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Separation", "separation_of_levels", "separation_of_numbers"]

_LEVEL = 0.05
_SHUFFLES, _AT_ONCE = 999, 111
_SEED = 0
_STEPS = 2001


class Separation(NamedTuple):
    """Area under the ROC curve, for more than two classes the mean over pairs of them.

    Parameters
    ----------
    auc : float
    low, high : float
        95 % interval.
    """

    auc: float
    low: float
    high: float


def separation_of_numbers(
    values: NDArray[np.float64], labels: NDArray[np.int64], classes: int
) -> Separation:
    """Find how well a number tells classes apart, of each pair in the sense that is .5 or more.

    Parameters
    ----------
    values : array (N,)
    labels : array (N,)
        Class indices, each with two participants or more.
    classes : int

    Returns
    -------
    Separation
        The interval reaches .5 unless a Kruskal-Wallis test tells the classes apart.
    """
    from scipy import stats

    members = [values[labels == c] for c in range(classes)]
    areas = []
    for first, second in combinations(members, 2):
        u = stats.mannwhitneyu(second, first).statistic / (len(first) * len(second))
        areas.append(max(u, 1 - u))
    auc = float(np.mean(areas))
    return _separation(auc, auc, labels, float(stats.kruskal(*members).pvalue))


def separation_of_levels(
    levels: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> Separation:
    """Find how well levels, such as sites, tell classes apart.

    Levels have no order of their own: the one that tells two classes apart is learned from the
    participants. The area is that of pairs of participants who are left out while it is learned
    (Airola et al. 2011, Comput Stat Data Anal 55:1828): .5 on average where levels say nothing,
    and a little too low where they say something. The area of the same participants that the order
    was learned from is too high. The truth lies between, and the interval reaches from below the
    one to above the other.

    Parameters
    ----------
    levels : array (N,)
        Index of each participant's level.
    labels : array (N,)
        Class indices, each with two participants or more.
    classes : int

    Returns
    -------
    Separation
        The interval reaches .5 unless a permutation test of the table of counts tells the classes
        apart.
    """
    levels = np.unique(levels, return_inverse=True)[1]
    counts = _table(levels, labels, classes)
    pairs = list(combinations(counts, 2))
    held_out = float(np.mean([_levels_auc(a, b, held_out=True) for a, b in pairs]))
    fitted = float(np.mean([_levels_auc(a, b, held_out=False) for a, b in pairs]))
    return _separation(held_out, fitted, labels, _independence_p(levels, labels, classes))


def _table(
    levels: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """Count participants, array (classes, levels)."""
    size = int(levels.max()) + 1
    flat: NDArray[np.int64] = np.bincount(labels * size + levels, minlength=classes * size)
    return np.asarray(flat.reshape(classes, size), dtype=np.float64)


def _levels_auc(
    first: NDArray[np.float64], second: NDArray[np.float64], *, held_out: bool
) -> float:
    """Order levels by the odds of the second class; of held-out pairs without the pair itself."""
    a, b, taken = first / first.sum(), second / second.sum(), 1.0 if held_out else 0.0

    def odds(n_first: NDArray[np.float64], n_second: NDArray[np.float64]) -> NDArray[np.float64]:
        # Half a participant more of either class, so that a level of one class has odds as well.
        return np.asarray((n_second + 0.5) / (n_first + 0.5))

    mine, other = odds(first, second - taken)[:, None], odds(first - taken, second)[None, :]
    wins = (mine > other) + 0.5 * (mine == other)
    np.fill_diagonal(wins, 0.5)
    return float(b @ wins @ a)


def _independence_p(levels: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> float:
    """Permutation test of Pearson's chi-square: classes are dealt out anew."""
    rng = np.random.default_rng(_SEED)
    counts = _table(levels, labels, classes)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()

    def distance(tables: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(((tables - expected) ** 2 / expected).sum(axis=(-2, -1)))

    found, as_far = distance(counts), 0
    for _ in range(_SHUFFLES // _AT_ONCE):
        # One table a row: classes are counted apart by an offset.
        dealt = rng.permuted(np.tile(labels, (_AT_ONCE, 1)), axis=1)
        offset = np.arange(_AT_ONCE)[:, None] * classes
        tables = _table(np.tile(levels, _AT_ONCE), (dealt + offset).ravel(), _AT_ONCE * classes)
        as_far += int((distance(tables.reshape(_AT_ONCE, classes, -1)) >= found - 1e-9).sum())
    return (1 + as_far) / (1 + _SHUFFLES)


def _separation(low_auc: float, high_auc: float, labels: NDArray[np.int64], p: float) -> Separation:
    """Keep the areas from which those found are within 1.96 of their standard errors."""
    areas = np.linspace(0, 1, _STEPS)
    reach = 1.96 * _standard_error(areas, np.bincount(labels)) + 0.5 / _STEPS
    low = float(areas[np.abs(areas - low_auc) <= reach].min())
    high = float(areas[np.abs(areas - max(low_auc, high_auc)) <= reach].max())
    return Separation(low_auc, low if p < _LEVEL else min(low, 0.5), high)


def _standard_error(areas: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hanley and McNeil (1982), of the two smallest classes where there are more."""
    a, b = np.sort(counts)[:2]
    q1, q2 = areas / (2 - areas), 2 * areas**2 / (1 + areas)
    variance = areas * (1 - areas) + (a - 1) * (q1 - areas**2) + (b - 1) * (q2 - areas**2)
    return np.asarray(np.sqrt(np.clip(variance, 0, None) / (a * b)))
