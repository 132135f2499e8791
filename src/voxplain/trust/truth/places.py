"""More ways to ask whether a map finds a truth: thresholds, boxes, peaks and distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import center_of_mass, find_objects
from scipy.ndimage import label as components
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust.ranks import brain_mask, inside, rank_scores
from voxplain.trust.truth.localisation import truth_inside

__all__ = ["Places", "box_overlap", "earth_movers_mm", "find_places", "max_f1", "pointing"]

_LEVELS = 50
_BOX_OVERLAP = 0.5
_TOLERANCE_MM = 8.0
# Distances are found between at most so many blocks, and between so many equal parts of mass.
_BLOCKS = 300
_LEAST_MM = 4.0


@dataclass(frozen=True)
class Places:
    """How near a score comes to a truth, in ways that average precision does not tell.

    Parameters
    ----------
    max_f1 : float
        Best F1 over all thresholds (MaxF1 of SE3D, ICIP 2024).
    box_overlap : float
        Best intersection over union, over thresholds, of the box around the largest connected
        part of the map with that around the largest part of the truth.
    box_found : bool
        Whether that is at least a half (Max3DBoxAcc of SE3D, averaged over subjects).
    pointed : bool
        Whether the peak lies in the truth or within 8 mm of it (pointing game).
    centre_pointed : bool
        Whether the middle of the brain does: the pointing game's control.
    distance_mm : float, mm
        Mean distance over which the map's mass would have to be moved to lie as the truth does
        (Wasserstein distance), found between at most 300 blocks, to about 1 %.
    """

    max_f1: float
    box_overlap: float
    box_found: bool
    pointed: bool
    centre_pointed: bool
    distance_mm: float


def find_places(score: ArrayLike, truth: ArrayLike, brain: ArrayLike, grid: Grid) -> Places:
    """Measure all of `Places`, inside the brain.

    Parameters
    ----------
    score : array (X, Y, Z)
        Higher means more evidence.
    truth, brain : array (X, Y, Z), bool
    grid : Grid

    Returns
    -------
    Places

    Raises
    ------
    GridError
        If a shape differs from the grid's.
    InputError
        As `localise` does.
    """
    mask = brain_mask(brain)
    if mask.shape != grid.shape:
        raise GridError(f"The brain mask has shape {mask.shape}, the grid {grid.shape}.")
    inner = truth_inside(truth, mask)
    values = inside(score, mask, "The score")
    whole = np.zeros(mask.shape, dtype=bool)
    whole[mask] = inner
    filled = np.full(mask.shape, -np.inf)
    filled[mask] = values
    overlap = box_overlap(filled, whole)
    pointed, centre = pointing(filled, whole, mask, grid)
    return Places(
        max_f1=max_f1(values, inner),
        box_overlap=overlap,
        box_found=overlap >= _BOX_OVERLAP,
        pointed=pointed,
        centre_pointed=centre,
        distance_mm=earth_movers_mm(np.where(mask, np.maximum(filled, 0), 0), whole, grid),
    )


def max_f1(score: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Find the best F1 over all thresholds.

    Parameters
    ----------
    score : array (V,)
    truth : array (V,), bool

    Returns
    -------
    float
    """
    return rank_scores(score, truth).max_f1


def box_overlap(score: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Compare the box around the map's largest part with that around the truth's.

    Parameters
    ----------
    score : array (X, Y, Z)
        Minus infinity outside the brain.
    truth : array (X, Y, Z), bool

    Returns
    -------
    float
        Intersection over union at the best of 50 thresholds, spread over the map's ranks.
    """
    wanted = _box(truth)
    inside = np.flatnonzero(np.isfinite(score))
    order = np.argsort(-score.ravel()[inside], kind="stable")
    where = np.stack(np.unravel_index(inside[order], score.shape))
    falling = score.ravel()[inside][order]
    # The box around all of the top voxels: no part of them need be looked for outside.
    low, high = np.minimum.accumulate(where, axis=1), np.maximum.accumulate(where, axis=1) + 1
    best = 0.0
    # Finer towards the top, where a map that is any good parts from the rest.
    places = np.unique(np.geomspace(1, len(falling), _LEVELS).astype(int)) - 1
    for cut in np.unique(falling[places]):
        last = int(np.searchsorted(-falling, -cut, side="right")) - 1
        around = tuple(slice(a, b) for a, b in zip(low[:, last], high[:, last], strict=True))
        found = _box(score[around] >= cut)
        moved = tuple(
            slice(part.start + whole.start, part.stop + whole.start)
            for part, whole in zip(found, around, strict=True)
        )
        best = max(best, _overlap(moved, wanted))
    return best


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    numbered, count = components(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    found: tuple[slice, ...] = find_objects(numbered)[int(sizes.argmax())]
    return found


def _overlap(a: tuple[slice, ...], b: tuple[slice, ...]) -> float:
    common = [
        max(0, min(x.stop, y.stop) - max(x.start, y.start)) for x, y in zip(a, b, strict=True)
    ]
    shared = float(np.prod(common))
    sizes = [float(np.prod([s.stop - s.start for s in box])) for box in (a, b)]
    return shared / (sum(sizes) - shared)


def pointing(
    score: NDArray[np.floating], truth: NDArray[np.bool_], brain: NDArray[np.bool_], grid: Grid
) -> tuple[bool, bool]:
    """Play the pointing game, and let the middle of the brain play it too.

    Parameters
    ----------
    score : array (X, Y, Z)
        Of several peaks that are equally high, all must lie in the truth.
    truth, brain : array (X, Y, Z), bool
    grid : Grid

    Returns
    -------
    pointed, centre_pointed : bool
    """
    peaks = np.argwhere((score == score[brain].max()) & brain)
    middle = np.round(center_of_mass(brain))[None]
    near = cKDTree(grid.to_world(np.argwhere(truth).astype(np.float64)))
    near_enough = [
        bool(np.all(near.query(grid.to_world(place.astype(np.float64)))[0] <= _TOLERANCE_MM))
        for place in (peaks, middle)
    ]
    return near_enough[0], near_enough[1]


def earth_movers_mm(mass: ArrayLike, truth: ArrayLike, grid: Grid) -> float:
    """Measure how far a map's mass lies from the truth.

    Parameters
    ----------
    mass : array (X, Y, Z), 0 or more
    truth : array (X, Y, Z), bool
    grid : Grid

    Returns
    -------
    float, mm
        Wasserstein distance of the two distributions, each gathered in at most 300 blocks and
        dealt into 300 equal parts, which is right to about 1 %; infinite for a map without any
        mass.

    Raises
    ------
    InputError
        If the map has negative values.
    """
    weights = np.asarray(mass, dtype=np.float64)
    if weights.min() < 0:
        raise InputError("The mass of a map must be 0 or more; take its strength first.")
    if not weights.any():
        return float("inf")
    a_place, a_mass = _gathered(weights, grid)
    b_place, b_mass = _gathered(np.asarray(truth, dtype=np.float64), grid)
    # Equal parts are matched one to one, a hundred times faster than any shares of mass.
    apart = cdist(a_place[_dealt(a_mass)], b_place[_dealt(b_mass)])
    return float(apart[linear_sum_assignment(apart)].mean())


def _dealt(mass: NDArray[np.float64]) -> NDArray[np.intp]:
    """Deal blocks into equal parts: the block of each part, array (300,)."""
    upper = np.cumsum(mass)
    middles = (np.arange(_BLOCKS) + 0.5) / _BLOCKS * upper[-1]
    found: NDArray[np.intp] = np.searchsorted(upper, middles)
    return found


def _gathered(
    weights: NDArray[np.float64], grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gather mass in blocks: their centres of mass, array (B, 3), mm, and masses, array (B,)."""
    where = np.argwhere(weights > 0)
    mass = weights[weights > 0]
    world = grid.to_world(where.astype(np.float64))
    # As many voxels at least as blocks: then no block is smaller than a voxel.
    size = max((len(mass) * grid.voxel_volume / _BLOCKS) ** (1 / 3), _LEAST_MM)
    low = world.min(axis=0)
    while True:
        place = np.floor((world - low) / size).astype(np.int64)
        _, number = np.unique(
            np.ravel_multi_index(tuple(place.T), tuple(place.max(axis=0) + 1)), return_inverse=True
        )
        if number.max() < _BLOCKS:
            break
        size *= 1.15
    total = np.bincount(number, mass)
    centres = np.stack([np.bincount(number, mass * axis) / total for axis in world.T], axis=1)
    return centres, total / total.sum()
