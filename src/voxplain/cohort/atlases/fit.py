"""Whether an atlas lies where the brains lie: its shift by tissue, what it covers, its sides."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.atlas import Atlas
from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.volume import resample

__all__ = ["AtlasFit", "atlas_fit", "side_of"]

_LATTICES = ((4.0, 5), (2.0, 2))
"""Spacing of each search in mm, and how many steps it goes to either side."""
_FAR_MM = 5.0
_HAZE = 0.1
_COVERED = 0.3
_INSIDE = 0.5
_UNEVEN = 0.2
_LEFT = re.compile(r"(^|[\W_])(l|lh|left)([\W_]|$)", re.IGNORECASE)
_RIGHT = re.compile(r"(^|[\W_])(r|rh|right)([\W_]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class AtlasFit:
    """How an atlas lies over a brain.

    Parameters
    ----------
    shift : tuple of 3 floats, mm
        By how much the atlas would have to move, right, front and up, to fit the tissue best.
    explained : float
        Share of the tissue's variance between what the regions cover and the rest, where the atlas
        lies.
    explained_shifted : float
        The same after the shift.
    covered : float
        Share of the brain that lies in a region.
    covered_left, covered_right : float
        The same of the brain's halves, below and above x = 0; NaN where a half is empty.
    inside : float
        Share of the voxels of regions that lie in the brain.
    swapped : bool or None
        Whether regions named as left lie on the right; None where no name tells a side.
    """

    shift: tuple[float, float, float]
    explained: float
    explained_shifted: float
    covered: float
    covered_left: float
    covered_right: float
    inside: float
    swapped: bool | None

    @property
    def distance(self) -> float:
        """Length of the shift, mm."""
        return float(np.linalg.norm(self.shift))

    def complaints(self, far: float = _FAR_MM) -> list[str]:
        """Say what does not fit, a clause each; none where the atlas may be believed.

        Parameters
        ----------
        far : float, mm
            A shift of this length or more is named.
        """
        found = []
        if self.distance >= far:
            found.append(
                "it fits the tissue best {:.0f} mm away, at ({:+.0f}, {:+.0f}, {:+.0f}) mm "
                "(right, front, up)".format(self.distance, *self.shift)
            )
        if self.covered < _COVERED:
            found.append(f"its regions cover {100 * self.covered:.0f} % of the brain alone")
        if self.inside < _INSIDE:
            found.append(f"{100 * (1 - self.inside):.0f} % of its regions lie outside the brain")
        if abs(self.covered_left - self.covered_right) > _UNEVEN:
            found.append(
                f"it covers {100 * self.covered_left:.0f} % of the left half of the brain and "
                f"{100 * self.covered_right:.0f} % of the right"
            )
        if self.swapped:
            found.append("regions that it names as left lie on the right")
        return found


def atlas_fit(atlas: Atlas, tissue: ArrayLike, grid: Grid) -> AtlasFit:
    """Hold an atlas against the tissue of a brain.

    The atlas is moved over the image, by up to 24 mm along each axis, and put where the part that
    its regions cover, all of them together, and the rest differ most in brightness (the correlation
    ratio of Roche et al. 1998). Takes a second or two.

    Parameters
    ----------
    atlas : Atlas
        On a grid of its own.
    tissue : array (X, Y, Z)
        A T1-weighted scan, or better the mean of many, with 0 outside the brain.
    grid : Grid
        Where the tissue lies.

    Returns
    -------
    AtlasFit

    Raises
    ------
    GridError
        If the image is not on the grid.
    InputError
        If it has no voxel that is not zero, or the atlas none above 0.
    """
    image = np.nan_to_num(np.asarray(tissue, dtype=np.float32))
    if image.shape != grid.shape:
        raise GridError(f"The tissue has shape {image.shape}, its grid {grid.shape}.")
    if not image.any() or not (atlas.labels > 0).any():
        raise InputError("An atlas is held against a brain; there is none, or no region.")
    # Interpolation leaves a haze around a brain, which is none of it.
    image[np.abs(image) < _HAZE * np.percentile(np.abs(image[image != 0]), 95)] = 0
    brain = image != 0
    regions = (atlas.labels > 0).astype(np.float32)
    there = resample(regions, atlas.grid, grid, order=0)
    shift, before, after = _best_shift(regions, atlas.grid, image, grid)
    x = grid.to_world(np.argwhere(brain))[:, 0]
    in_region = there[brain] > 0
    return AtlasFit(
        shift=shift,
        explained=before,
        explained_shifted=after,
        covered=float(in_region.mean()),
        covered_left=_share(in_region[x < 0]),
        covered_right=_share(in_region[x > 0]),
        inside=_inside(atlas, there, brain, grid),
        swapped=_swapped(atlas),
    )


def side_of(name: str) -> str:
    """Tell which side a region's name says: ``"left"``, ``"right"``, or nothing."""
    left, right = bool(_LEFT.search(name)), bool(_RIGHT.search(name))
    return "" if left == right else "left" if left else "right"


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if hits.size else float("nan")


def _inside(
    atlas: Atlas, there: NDArray[np.float32], brain: NDArray[np.bool_], grid: Grid
) -> float:
    """Share of the atlas's volume in the brain; what lies beyond the image is outside."""
    volume = float((atlas.labels > 0).sum()) * atlas.grid.voxel_volume
    held = float((there[brain] > 0).sum()) * grid.voxel_volume
    return min(1.0, held / volume)


def _swapped(atlas: Atlas) -> bool | None:
    votes = []
    sides = {label: side for label, name in atlas.names.items() if (side := side_of(name))}
    if not sides:
        return None
    where = np.argwhere(np.isin(atlas.labels, [*sides]))
    x = atlas.grid.to_world(where)[:, 0]
    labels = atlas.labels[tuple(where.T)]
    top = max(sides) + 1
    counts = np.bincount(labels, minlength=top)
    sums = np.bincount(labels, weights=x, minlength=top)
    for label, side in sides.items():
        if counts[label]:
            votes.append((sums[label] < 0) == (side == "left"))
    return None if not votes else float(np.mean(votes)) < 0.5


def _best_shift(
    regions: NDArray[np.float32], place: Grid, image: NDArray[np.float32], grid: Grid
) -> tuple[tuple[float, float, float], float, float]:
    """Search coarse, then fine around what was found; the last tenths by a parabola."""
    shift = np.zeros(3)
    for mm, reach in _LATTICES:
        scores = _scores(regions, place.moved(shift), image, grid, (mm, reach))
        best = np.array(np.unravel_index(scores.argmax(), scores.shape))
        shift = shift + mm * (best - reach)
    mm = _LATTICES[-1][0]
    still = float(_scores(regions, place, image, grid, (mm, 0)).max())
    x, y, z = (float(one) for one in np.round(shift + mm * _between(scores, best), 1))
    return (x, y, z), still, max(still, float(scores.max()))


def _scores(
    regions: NDArray[np.float32],
    place: Grid,
    image: NDArray[np.float32],
    grid: Grid,
    search: tuple[float, int],
) -> NDArray[np.float64]:
    """Share of the image's variance that lies between what the moved regions cover and the rest.

    Two classes, not one a region: regions outside the brain would explain its darkness, one by one,
    and a brain smaller than the atlas would be drawn to its edge.
    """
    mm, reach = search
    lattice = _lattice(image, grid, mm, reach)
    values = resample(_smoothed(image, grid, mm), grid, lattice).astype(np.float64)
    held = resample(regions, place, lattice, order=0).ravel() > 0
    where = np.argwhere(values > 0)
    bright = values[tuple(where.T)]
    mean, size = bright.sum() / values.size, int(held.sum())
    spread = (bright**2).sum() - values.size * mean**2
    strides = np.array([lattice.shape[1] * lattice.shape[2], lattice.shape[2], 1])
    voxels = where @ strides
    out = np.zeros((2 * reach + 1,) * 3)
    if size in (0, values.size):
        return out
    for step in np.ndindex(out.shape):
        moved = voxels - (np.array(step) - reach) @ strides
        gap = bright[held[moved]].sum() / size - mean
        out[step] = gap**2 * size / (1 - size / values.size) / spread
    return out


def _lattice(image: NDArray[np.float32], grid: Grid, mm: float, reach: int) -> Grid:
    """Cut a box of world space around the brain, with room for the steps."""
    corners = grid.to_world(np.argwhere(image != 0))
    room = mm * (reach + 4)
    low, high = corners.min(axis=0) - room, corners.max(axis=0) + room
    shape = np.ceil((high - low) / mm).astype(int)
    return Grid.covering(low, low + mm * shape, shape)


def _smoothed(image: NDArray[np.float32], grid: Grid, mm: float) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    sigma = [max(0.0, 0.4 * (mm / size - 1)) for size in grid.voxel_size]
    return np.asarray(gaussian_filter(image, sigma), dtype=np.float32)


def _between(scores: NDArray[np.float64], best: NDArray[np.int64]) -> NDArray[np.float64]:
    """Vertex of the parabola through the best score and its neighbours, in steps, each axis."""
    out = np.zeros(3)
    for axis in range(3):
        if not 0 < best[axis] < scores.shape[axis] - 1:
            continue
        line = scores[tuple(slice(None) if a == axis else best[a] for a in range(3))]
        left, middle, right = line[best[axis] - 1 : best[axis] + 2]
        bend = left - 2 * middle + right
        if bend < 0:
            out[axis] = np.clip((left - right) / (2 * bend), -0.5, 0.5)
    return out
