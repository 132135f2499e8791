"""The null of single voxels: a blocked matrix product of arrangements and maps.

A row per arrangement is multiplied with a piece of the maps, and what comes out is summed up while
it lies in the cache: the largest of each arrangement, and how often each voxel was surpassed. The t
of a voxel is monotone in ``x² / (1 - c)``, with x the product with the regressor and c the part of
the voxel that the rearranged nuisance explains (Freedman and Lane 1983).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from voxplain.group.permutation.residuals import Residuals

__all__ = ["TIES", "UNIT", "NullOfVoxels", "fitted", "null_maxima", "t_of"]

TIES = 1 - 1e-5
"""What comes so near to the observed value counts as reaching it, whatever rounding does."""

NullOfVoxels = Callable[
    [Residuals, NDArray[np.float32], int, Callable[[int], None]],
    tuple[NDArray[np.float64], NDArray[np.int64]],
]
"""As `null_maxima`, which another device may stand in for."""

UNIT = 224
"""Arrangements in one product: their counts fit into 8 bits."""

_MANY = 100
_MISSED = 1e-9


def null_maxima(
    residuals: Residuals,
    rows: NDArray[np.float32],
    threads: int,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the largest t of each arrangement, and how often each voxel is surpassed.

    With a hundred scans or more to each column of the nuisance that is moved, c is small: it is
    worked out for those voxels alone that can be the largest (all others miss it with a probability
    below 1e-9), and taken at its expectation for the counts. Else it is worked out for all.

    Parameters
    ----------
    residuals : Residuals
    rows : array (B, 1 + Q, N), float32
        Of `Arrangements.rows`.
    threads : int
    advance : callable
        Called with the number of voxels done.

    Returns
    -------
    maxima : array (B,), float64
        Largest absolute t.
    surpassed : array (V,), int64
        How many arrangements gave an absolute t as large as the observed one.
    """
    scans, moved = rows.shape[2], rows.shape[1] - 1
    few = moved > 0 and scans >= _MANY * moved
    ratio = stats.beta.isf(_MISSED, moved / 2, (scans - 1 - moved) / 2) if few else 0.0
    expected = moved / (scans - 1) if few else 0.0
    regressors = np.ascontiguousarray(rows[:, 0])
    observed = (residuals.correlation**2 * TIES**2).astype(np.float32)
    surpassed = np.zeros(len(observed), dtype=np.int64)

    def work(piece: int, largest: NDArray[np.float32]) -> None:
        values, start = residuals.pieces[piece], residuals.starts[piece]
        here = slice(start, start + len(values))
        limit = observed[here] * np.float32(1 - expected)
        for first in range(0, len(rows), UNIT):
            block = slice(first, first + UNIT)
            if few or not moved:
                squares = regressors[block] @ values.T
                np.square(squares, out=squares)
                np.maximum(largest[block], squares.max(axis=1), out=largest[block])
            else:
                squares = fitted(rows[block], values)
                np.square(squares, out=squares)
                np.maximum(largest[block], squares.max(axis=1), out=largest[block])
            if few:
                _refine(rows[block, 1:], values, squares, largest[block], np.float32(1 - ratio))
            reached = squares >= limit
            surpassed[here] += reached.view(np.uint8).sum(axis=0, dtype=np.uint8)
        advance(len(values))

    def lane(number: int) -> NDArray[np.float32]:
        largest = np.zeros(len(rows), dtype=np.float32)
        for piece in range(number, len(residuals.pieces), threads):
            work(piece, largest)
        return largest

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        found = np.max(list(pool.map(lane, range(threads))), axis=0).astype(np.float64)
    surpassed[residuals.correlation == 0] = len(rows)
    return np.abs(t_of(np.sqrt(found), residuals.df)), surpassed


def _refine(
    nuisance: NDArray[np.float32],
    values: NDArray[np.float32],
    squares: NDArray[np.float32],
    largest: NDArray[np.float32],
    ratio: np.float32,
) -> None:
    """Raise the largest of each arrangement by what the moved nuisance explains of it."""
    which, where = np.nonzero(squares > ratio * largest[:, None])
    explained = np.square(np.einsum("kqn,kn->kq", nuisance[which], values[where])).sum(axis=1)
    np.maximum.at(largest, which, squares[which, where] / (1 - explained))


def fitted(rows: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlate arrangements with voxels, the moved nuisance taken out, array (B, C), float32.

    Parameters
    ----------
    rows : array (B, 1 + Q, N), float32
    values : array (C, N), float32
    """
    found: NDArray[np.float32] = rows[:, 0] @ values.T
    if rows.shape[1] > 1:
        left = np.ones_like(found)
        for column in range(1, rows.shape[1]):
            left -= np.square(rows[:, column] @ values.T)
        found /= np.sqrt(np.maximum(left, np.float32(1e-6)))
    return found


def t_of(r: NDArray[np.floating], df: int) -> NDArray[np.floating]:
    """Turn correlations into t."""
    return np.asarray(r * np.sqrt(df / np.maximum(1 - np.square(r), 1e-7)))
