"""The spread that an inner product of two unrelated smooth maps has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["product_spread"]


def product_spread(
    mask: NDArray[np.bool_],
) -> Callable[[NDArray[np.float64], NDArray[np.float64]], float]:
    """Make the function that foretells the spread of an inner product of two unrelated maps.

    The variance of a sum of products is the sum of the products of both autocovariances over
    all pairs of voxels. Lags that fewer than a tenth of the voxels have are left out, since
    their autocovariance is little but noise.
    """
    box = mask[np.ix_(*(_extent(mask, axis) for axis in range(3)))]
    padded = [scipy.fft.next_fast_len(2 * n - 1, real=True) for n in box.shape]

    def autocorrelation(values: NDArray[np.float64]) -> NDArray[np.float64]:
        placed = np.zeros(box.shape)
        placed[box] = values
        power = np.abs(scipy.fft.rfftn(placed, padded)) ** 2
        return np.asarray(scipy.fft.irfftn(power, padded))

    voxels = int(np.count_nonzero(box))
    pairs = np.rint(autocorrelation(np.ones(voxels)))
    weights = np.where(pairs >= 0.1 * voxels, 1 / np.maximum(pairs, 1), 0)

    def spread(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        variance = float(np.sum(autocorrelation(a) * autocorrelation(b) * weights))
        return float(np.sqrt(max(variance, 0.0)))

    return spread


def _extent(mask: NDArray[np.bool_], axis: int) -> NDArray[np.int64]:
    others = tuple(other for other in range(3) if other != axis)
    used = np.flatnonzero(mask.any(axis=others))
    return np.arange(used[0], used[-1] + 1)
