"""Faults of scans that make every map of them worthless: copies, wrapped values, swapped sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

__all__ = ["coarse", "copies", "jumps", "sides", "wrapped"]

_COPY = 0.97
_TOGETHER = 1024
_EDGE_MM = 6.0
_JUMP = 0.8
_FAINTEST, _FAR = 0.005, 8.0
_MIRRORED, _ASYMMETRIC = 0.5, 0.2
# So many standard deviations between scans, or some pass for mirrored by chance.
_STEADY = 2.5


def coarse(values: NDArray[np.float32], voxel_size: Sequence[float]) -> NDArray[np.float32]:
    """Average blocks of voxels so that they are about 6 mm, array (x, y, z)."""
    steps = [max(1, round(_EDGE_MM / size)) for size in voxel_size]
    for axis, step in enumerate(steps):
        whole = values.shape[axis] // step
        cut = np.take(values, range(whole * step), axis)
        shape = (*cut.shape[:axis], whole, step, *cut.shape[axis + 1 :])
        values = cut.reshape(shape).mean(axis=axis + 1)
    return np.asarray(values, dtype=np.float32)


def copies(
    scans: NDArray[np.float32], inside: NDArray[np.bool_] | None = None
) -> list[tuple[int, int, float]]:
    """Find scans that are the same brain.

    Two brains are alike because both are brains; what is left once the mean of all scans is taken
    out is a brain's own.

    Parameters
    ----------
    scans : array (N, V)
        Coarse; it may lie on a disk, and is read some rows at a time.
    inside : array (V,), bool, optional
        Voxels of the brain; all by default.

    Returns
    -------
    list of (int, int, float)
        Pairs, and the correlation of what is their own, where it exceeds .97.
    """
    columns = np.ones(scans.shape[1], dtype=bool) if inside is None else inside
    mean = scans.mean(axis=0)[columns]

    def own(start: int) -> NDArray[np.float32]:
        left = scans[start : start + _TOGETHER, columns] - mean
        left -= left.mean(axis=1, keepdims=True)
        length = np.linalg.norm(left, axis=1, keepdims=True)
        return np.asarray(left / np.where(length > 0, length, 1))

    found = []
    starts = range(0, len(scans), _TOGETHER)
    for i in starts:
        some = own(i)
        for j in starts[i // _TOGETHER :]:
            alike = some @ (some if j == i else own(j)).T
            # With few scans, the mean holds a part of each, and copies a share of it more.
            first, second = np.nonzero(np.triu(alike > _COPY, k=1) if j == i else alike > _COPY)
            found += [
                (int(a) + i, int(b) + j, float(alike[a, b]))
                for a, b in zip(first, second, strict=True)
            ]
    return sorted(found)


def jumps(values: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
    """Measure how often neighbours deep in the brain lie at opposite ends of its intensities.

    Parameters
    ----------
    values : array (X, Y, Z)
    brain : array (X, Y, Z), bool

    Returns
    -------
    float
        Share of pairs of neighbours that differ by more than 80 % of the range of the brain.
    """
    deep = binary_erosion(brain, iterations=1)
    low, high = np.quantile(values[brain], (0.01, 0.99))
    if high <= low:
        return 0.0
    pairs = large = 0
    for axis in range(3):
        a, b = (np.delete(deep, side, axis) for side in (-1, 0))
        both = a & b
        step = np.abs(np.diff(values, axis=axis))[both]
        pairs += len(step)
        large += int((step > _JUMP * (high - low)).sum())
    return large / max(pairs, 1)


def wrapped(shares: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which scans' jumps are far more than those of the others, and not rare.

    Parameters
    ----------
    shares : array (N,)
        Of `jumps`.
    """
    middle = float(np.median(shares))
    spread = 1.4826 * float(np.median(np.abs(shares - middle)))
    return np.asarray(shares > np.maximum(_FAINTEST, middle + _FAR * spread))


def sides(scans: Sequence[NDArray[np.float32]], axis: int) -> NDArray[np.bool_] | None:
    """Tell which scans have left and right swapped.

    No brain is its mirror image: what differs between the two sides of the mean brain is held
    against what differs between the two sides of a scan.

    Parameters
    ----------
    scans : sequence of array (x, y, z)
        Coarse.
    axis : int
        From side to side.

    Returns
    -------
    array (N,), bool, or None
        None where brains are too symmetric, or too different in their asymmetry, to tell.
    """
    alike = np.empty(len(scans))
    total = np.zeros(scans[0].size, dtype=np.float32)
    for scan in scans:
        total += (scan - np.flip(scan, axis)).ravel()
    for i, scan in enumerate(scans):
        own = (scan - np.flip(scan, axis)).ravel()
        others = total - own
        size = np.linalg.norm(own) * np.linalg.norm(others)
        alike[i] = float(own @ others) / size if size > 0 else 0.0
    typical = float(np.median(alike))
    spread = 1.4826 * float(np.median(np.abs(alike - typical)))
    if typical < max(_ASYMMETRIC, _STEADY * spread):
        return None
    return np.asarray(alike < -_MIRRORED * typical)
