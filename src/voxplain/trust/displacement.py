"""How far an atlas lies from the brains that it names regions of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_closing, binary_fill_holes, gaussian_filter

from voxplain.atlas import Atlas
from voxplain.errors import GridError
from voxplain.grid import Grid
from voxplain.volume import resample

__all__ = ["displacement"]

_BLOCK_MM, _CLOSED_MM = 4.0, 12.0
_STEP, _REACH = 4.0, 5
_ROUNDS = 3


def displacement(atlas: Atlas, there: ArrayLike, grid: Grid) -> NDArray[np.float64]:
    """Find by how much an atlas would have to be moved to fit a brain best.

    The outline of the labels, holes and gaps filled, is moved along each axis in turn, and held
    against the brain by correlation over the field of view.

    Parameters
    ----------
    atlas : Atlas
    there : array (X, Y, Z)
        How much of a brain each voxel has: a mask, or the share of a cohort's scans.
    grid : Grid
        Of the brain.

    Returns
    -------
    array (3,), mm
        To the right, front and top; 20 mm are the most that is tried along an axis.

    Raises
    ------
    GridError
        If the brain is not on the grid.
    """
    brain = np.asarray(there, dtype=np.float64)
    if brain.shape != grid.shape:
        raise GridError(f"The brain has shape {brain.shape}, its grid {grid.shape}.")
    outline, place = _outline(atlas, max(grid.voxel_size))

    def alike(shift: NDArray[np.float64]) -> float:
        moved = resample(outline, place.moved(shift), grid, order=1)
        return float(np.corrcoef(moved.ravel(), brain.ravel())[0, 1]) if moved.any() else -1.0

    found = np.zeros(3)
    for _ in range(_ROUNDS):
        for axis in range(3):
            found[axis] = _best_along(alike, found, axis)
    return found


def _best_along(
    alike: Callable[[NDArray[np.float64]], float], start: NDArray[np.float64], axis: int
) -> float:
    """Find where along an axis a score is largest, between steps by a parabola."""
    steps = _STEP * np.arange(-_REACH, _REACH + 1)
    scores = []
    for step in steps:
        shift = start.copy()
        shift[axis] = step
        scores.append(alike(shift))
    best = int(np.argmax(scores))
    if best in (0, len(steps) - 1):
        return float(steps[best])
    before, peak, after = scores[best - 1 : best + 2]
    bend = before - 2 * peak + after
    return float(steps[best] + (_STEP * 0.5 * (before - after) / bend if bend < 0 else 0.0))


def _outline(atlas: Atlas, width: float) -> tuple[NDArray[np.float32], Grid]:
    """Fill the outline of the labels, in blocks of 4 mm, as blurred as the brain's voxels are."""
    place = atlas.grid.recut(_BLOCK_MM)
    labelled = resample((atlas.labels > 0).astype(np.float32), atlas.grid, place, order=1) > 0.5
    turns = round(_CLOSED_MM / _BLOCK_MM)
    padded = np.pad(labelled, turns + 1)
    filled = binary_fill_holes(binary_closing(padded, iterations=turns))
    inner = filled[turns + 1 : -turns - 1, turns + 1 : -turns - 1, turns + 1 : -turns - 1]
    sigma = width / _BLOCK_MM / 2.355
    return gaussian_filter(inner.astype(np.float32), sigma), place
