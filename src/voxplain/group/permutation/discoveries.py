"""How many voxels of a set are truly different: bounds that hold for all sets at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from voxplain.errors import InputError

__all__ = ["Discoveries", "permuted_discoveries", "simes_discoveries", "smallest_ratio"]

_TABLE_ENDS = 40


@dataclass(frozen=True, eq=False)
class Discoveries:
    """A lower bound on the number of true effects in any set of voxels.

    The bounds of all sets hold together with the stated confidence, also for sets that were chosen
    after a look at the map.

    Parameters
    ----------
    p : array (V,), float64
        Parametric p of each voxel, of both directions.
    unit : float
        Of the k-th critical value: a p below ``k * unit`` counts. 0 where nothing can be found.
    """

    p: NDArray[np.float64]
    unit: float

    def count(self, voxels: NDArray[np.int64]) -> int:
        """Count at least so many true effects among some voxels.

        Parameters
        ----------
        voxels : array (K,), int64
            Their places.

        Returns
        -------
        int
        """
        if not len(voxels) or self.unit <= 0:
            return 0
        p = np.sort(self.p[voxels])
        # The first critical value that the k-th smallest p lies below.
        first = np.floor(p / self.unit) + 1
        return int(max(0, (np.arange(1, len(p) + 1) - first + 1).max()))


def smallest_ratio(t: NDArray[np.floating], df: int) -> float:
    """Find the smallest ``p_(k) / k`` over the sorted p of a map, by which curves are ranked."""
    sides = np.sort(np.abs(t))[::-1]
    p = 2 * np.exp(_log_sf(sides, df))
    return float((p / np.arange(1, len(p) + 1)).min())


def permuted_discoveries(
    t: NDArray[np.float64], df: int, ratios: NDArray[np.float64], alpha: float = 0.05
) -> Discoveries:
    """Bound true discoveries by rearrangement (pARI, Andreella et al. 2023), as the blocks permit.

    The critical values are ``k * unit``, with the largest unit that the p of at most a share
    `alpha` of all arrangements undercut, that of the data among them.

    Parameters
    ----------
    t : array (V,)
    df : int
    ratios : array (B,)
        `smallest_ratio` of each arrangement, without the data's own.
    alpha : float, default=0.05
        One less the confidence.

    Returns
    -------
    Discoveries
    """
    p = 2 * np.exp(_log_sf(np.abs(t), df))
    every = np.sort([*ratios, float((np.sort(p) / np.arange(1, len(p) + 1)).min())])
    return Discoveries(p, float(every[int(alpha * len(every))]))


def simes_discoveries(p: NDArray[np.float64], alpha: float = 0.05) -> Discoveries:
    """Bound true discoveries by Simes' inequality (ARI, Rosenblatt et al. 2018).

    It holds where voxels depend on each other positively and their p are right, which those of
    families are not.

    Parameters
    ----------
    p : array (V,)
    alpha : float, default=0.05

    Returns
    -------
    Discoveries

    Raises
    ------
    InputError
        If a p is not between 0 and 1.
    """
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError("The p of voxels must lie between 0 and 1.")
    largest = _hommel(np.sort(p), alpha)
    # A p of k * alpha / largest itself counts as well.
    return Discoveries(p, float(np.nextafter(alpha / largest, 1)) if largest else np.inf)


def _hommel(p: NDArray[np.float64], alpha: float) -> int:
    """Find how many of the largest p, at most, Simes' test does not reject."""
    low, high = 0, len(p)
    while low < high:
        middle = (low + high + 1) // 2
        kept = p[len(p) - middle :]
        if (kept * middle > alpha * np.arange(1, middle + 1)).all():
            low = middle
        else:
            high = middle - 1
    return low


def _log_sf(t: NDArray[np.floating], df: int) -> NDArray[np.float64]:
    """Log of the share of Student's distribution above t, from a fine table."""
    grid, table = _table(df)
    found = np.asarray(np.interp(t, grid, table), dtype=np.float64)
    beyond = t > grid[-1]
    found[beyond] = stats.t.logsf(t[beyond], df)
    return found


@cache
def _table(df: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    grid = np.linspace(0, _TABLE_ENDS, 2**14)
    return grid, np.asarray(stats.t.logsf(grid, df), dtype=np.float64)
