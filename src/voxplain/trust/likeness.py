"""What a map that is not what it should be is instead: inverted, mirrored, shifted, another's."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["correlation", "say_likeness"]

_ALIKE = 0.9
_AXES = ("left and right", "front and back", "top and bottom")


def correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Correlate two maps voxel by voxel; two constant ones agree, a constant and another do not."""
    first, second = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    first, second = first - first.mean(), second - second.mean()
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if min(lengths) == 0:
        return 1.0 if max(lengths) == 0 else 0.0
    return float(first @ second) / (lengths[0] * lengths[1])


def say_likeness(
    map_: NDArray[np.float32], right: NDArray[np.float32], others: Mapping[str, ArrayLike]
) -> str:
    """Say what a map is instead of what it should be.

    Parameters
    ----------
    map_ : array (X, Y, Z)
        As it was found.
    right : array (X, Y, Z)
        As it should be.
    others : mapping of str to array (X, Y, Z)
        What else it may be, by its words: ``"the scan itself"``.

    Returns
    -------
    str
        "" where it is like nothing that was tried.
    """
    if not np.ptp(map_):
        return "constant"
    if map_.shape != right.shape:
        return "with axes swapped" if _axes_swapped(map_, right) else "of another shape"
    if correlation(map_, right) < -_ALIKE:
        return "of the opposite sign"
    magnitude = bool((map_ >= 0).all()) and not bool((right >= 0).all())
    if magnitude and correlation(map_, np.abs(right)) > _ALIKE:
        return "without its sign"
    for axis, sides in enumerate(_AXES):
        if correlation(np.flip(map_, axis), right) > _ALIKE:
            return f"with {sides} swapped"
    if _axes_swapped(map_, right):
        return "with axes swapped"
    steps = _shift(map_, right)
    if any(steps) and correlation(np.roll(map_, steps, (0, 1, 2)), right) > _ALIKE:
        told = ", ".join(str(-step) for step in steps)
        return f"shifted by ({told}) voxels"
    for words, other in others.items():
        if abs(correlation(map_, other)) > _ALIKE:
            return words
    return ""


def _axes_swapped(map_: NDArray[np.float32], right: NDArray[np.float32]) -> bool:
    turned = (np.transpose(map_, order) for order in permutations(range(map_.ndim)))
    return any(one.shape == right.shape and correlation(one, right) > _ALIKE for one in turned)


def _shift(map_: NDArray[np.float32], right: NDArray[np.float32]) -> tuple[int, int, int]:
    """Find by how many voxels a map must be rolled to lie on another: the best of all shifts."""
    a, b = (np.fft.rfftn(v - v.mean()) for v in (right, map_))
    product = np.fft.irfftn(a * np.conj(b), s=map_.shape, axes=(0, 1, 2))
    peak = np.unravel_index(int(product.argmax()), product.shape)
    x, y, z = (
        int(p) if p <= n // 2 else int(p) - n for p, n in zip(peak, product.shape, strict=True)
    )
    return x, y, z
