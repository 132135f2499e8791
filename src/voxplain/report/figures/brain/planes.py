"""From an array on any grid to flat cuts with left on the left, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from nibabel import orientations
from scipy import ndimage

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.report.figures.brain.head import bounding_box, head_mask, tissue_grey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["AXES", "Scene", "choose_cuts", "require_on_grid", "to_ras"]

AXES: Final = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The array axis, after `to_ras`, along which each kind of cut moves."""

_PIXEL_MM: Final = 1.0
_LETTERS: Final = "xyz"


def require_on_grid(values: ArrayLike, grid: Grid, what: str) -> NDArray[np.float32]:
    """Return ``values`` as float32, array (X, Y, Z), if they are finite and fit the grid.

    Raises
    ------
    GridError
        If the shape is another; ``what`` starts the sentence.
    InputError
        If a value is not finite.
    """
    array = np.asarray(values, dtype=np.float32)
    if array.shape != grid.shape:
        raise GridError(
            f"{what} to draw has shape {array.shape}, its grid {grid.shape}: give the grid of "
            "this array."
        )
    if not np.isfinite(array).all():
        raise InputError(f"{what} to draw has values that are not finite; set them to 0 first.")
    return array


def to_ras(values: NDArray[np.float32], grid: Grid) -> tuple[NDArray[np.float32], Grid]:
    """Turn and flip the array's axes so that they run to right, front and top.

    No value is interpolated: on an oblique grid the axes become the closest ones to x, y and z.

    Parameters
    ----------
    values : array (X, Y, Z)
    grid : Grid

    Returns
    -------
    array (X', Y', Z'), float32
    Grid
        Where the turned array lies: the same voxels at the same places.
    """
    turn = orientations.io_orientation(grid.affine)
    moved = orientations.apply_orientation(values, turn)
    back = orientations.inv_ornt_aff(turn, grid.shape)
    array = np.ascontiguousarray(moved)
    x, y, z = array.shape
    return array, Grid((x, y, z), grid.affine @ back)


@dataclass(frozen=True, eq=False)
class Scene:
    """The anatomy that maps are drawn on: turned to RAS, empty borders cut away.

    Parameters
    ----------
    grey : array (X, Y, Z), float32
        Background scaled to 0 (black) to 1 (white) within the head.
    head : array (X, Y, Z), bool
    truth : array (X, Y, Z), float32, or None
        1 inside the true effect.
    grid : Grid
        Of the three arrays.
    source : Grid
        Of the arrays as the caller has them.
    box : tuple of slice
        The part of the turned source that is kept.
    """

    grey: NDArray[np.float32]
    head: NDArray[np.bool_]
    truth: NDArray[np.float32] | None
    grid: Grid
    source: Grid
    box: tuple[slice, slice, slice]

    @classmethod
    def of(cls, background: ArrayLike, grid: Grid, truth: ArrayLike | None = None) -> Scene:
        """Prepare a background, and where it is known the truth, for drawing.

        Raises
        ------
        GridError
            If an array does not fit the grid.
        InputError
            If an array has values that are not finite, or the truth is empty.
        """
        anatomy, turned = to_ras(require_on_grid(background, grid, "The background"), grid)
        head = head_mask(anatomy)
        keep, mask = head, None
        if truth is not None:
            mask, _ = to_ras(require_on_grid(truth, grid, "The truth"), grid)
            mask = (mask > 0.5).astype(np.float32)
            if not mask.any():
                raise InputError("The truth to outline has no voxel; leave it out instead.")
            keep = head | (mask > 0)
        box = bounding_box(keep)
        affine = turned.affine.copy()
        affine[:3, 3] = turned.to_world([side.start for side in box])
        x, y, z = (side.stop - side.start for side in box)
        kept = None if mask is None else mask[box]
        grey = tissue_grey(anatomy[box], head[box], float(np.mean(grid.voxel_size)))
        return cls(grey, head[box], kept, Grid((x, y, z), affine), grid, box)

    def of_subject(self, background: ArrayLike) -> Scene:
        """Return the same cut-out with another subject's anatomy, array (X, Y, Z)."""
        array = require_on_grid(background, self.source, "The background")
        anatomy, _ = to_ras(array, self.source)
        head = head_mask(anatomy)
        size = float(np.mean(self.grid.voxel_size))
        grey = tissue_grey(anatomy[self.box], head[self.box], size)
        return replace(self, grey=grey, head=head[self.box])

    def bring(self, values: ArrayLike, what: str = "The map") -> NDArray[np.float32]:
        """Turn and crop a map of the source grid in the same way, array (X, Y, Z), float32."""
        turned, _ = to_ras(require_on_grid(values, self.source, what), self.source)
        return turned[self.box]

    @property
    def oblique(self) -> bool:
        """Whether the cuts run along the scan's own axes and not those of the world."""
        directions = np.abs(self.grid.affine[:3, :3]) / np.asarray(self.grid.voxel_size)
        return bool(directions.max(axis=0).min() < 0.999)

    def size(self, plane: str) -> tuple[float, float]:
        """Width and height of a cut, mm."""
        axis = AXES[plane]
        across, up = (a for a in range(3) if a != axis)
        sizes, shape = self.grid.voxel_size, self.grid.shape
        return sizes[across] * shape[across], sizes[up] * shape[up]

    def outside(self, values: ArrayLike) -> float:
        """Return the share of a map's magnitude beyond the head, which no cut shows, 0 to 1."""
        turned, _ = to_ras(require_on_grid(values, self.source, "The map"), self.source)
        whole = float(np.abs(turned).sum(dtype=np.float64))
        inside = float(np.abs(turned[self.box])[self.head].sum(dtype=np.float64))
        return max(1 - inside / whole, 0.0) if whole > 0 else 0.0

    def cut(
        self, array: NDArray[np.float32], plane: str, index: int, *, soft: bool = False
    ) -> NDArray[np.float32]:
        """Return one cut at about a millimetre per pixel, cubic between voxel centres.

        Parameters
        ----------
        array : array (X, Y, Z)
            On the scene's grid.
        plane : {"sagittal", "coronal", "axial"}
        index : int
            Slice along the plane's axis.
        soft : bool, default=False
            Round off the steps of a mask with a quadratic B-spline instead.

        Returns
        -------
        array (rows, columns), float32
            First row at the bottom (back or lower side); left, or back, at column 0.
        """
        flat = np.take(array, index, axis=AXES[plane]).T
        width, height = self.size(plane)
        zoom = (
            max(round(height / _PIXEL_MM), 1) / flat.shape[0],
            max(round(width / _PIXEL_MM), 1) / flat.shape[1],
        )
        out = ndimage.zoom(
            flat.astype(np.float32),
            zoom,
            order=2 if soft else 3,
            prefilter=not soft,
            mode="nearest",
            grid_mode=True,
        )
        # A cubic spline swings past steep edges; what is drawn stays within the slice's values.
        inside: NDArray[np.float32] = np.clip(out, flat.min(), flat.max()).astype(np.float32)
        return inside

    def position(self, plane: str, index: int) -> str:
        """Say where a slice lies: ``"z = −18"``, mm at the middle of the slice."""
        axis = AXES[plane]
        middle = (np.asarray(self.grid.shape) - 1) / 2
        middle[axis] = index
        place = round(float(self.grid.to_world(middle)[axis]))
        sign = "≈" if self.oblique else "="
        return f"{_LETTERS[axis]} {sign} {str(place).replace('-', '−')}"


def choose_cuts(
    scene: Scene, weight: NDArray[np.float32], plane: str, n_slices: int, spread: float = 1.0
) -> list[int]:
    """Choose slices through what there is to see, kept apart so that they span the head.

    The first is the slice that holds most of the truth (its centre of mass would, for a truth
    on both sides, lie between the halves), the second the slice through the map's peak in
    the head; the
    others follow where the slice's summed magnitude, and the truth's area, is largest. Slices are
    kept apart by as much of the distance that spreads ``n_slices`` evenly over the head as leaves
    room for all of them.

    Parameters
    ----------
    scene : Scene
    weight : array (X, Y, Z)
        Magnitude of what is drawn, on the scene's grid.
    plane : {"sagittal", "coronal", "axial"}
    n_slices : int
    spread : float, default=1.0
        Part of the even distance that is asked for at first.

    Returns
    -------
    list of int
        Indices in rising order, at most ``n_slices``.
    """
    axis = AXES[plane]
    others = tuple(a for a in range(3) if a != axis)
    area = scene.head.sum(axis=others)
    # Slices near the rim of the head show little of it.
    wide = np.flatnonzero(area > 0.35 * area.max())
    even = (wide[-1] - wide[0]) / n_slices
    inside = weight * scene.head
    profile = inside.sum(axis=others, dtype=np.float64)
    profile /= max(profile.max(), 1e-12)
    wanted: list[int] = []
    if scene.truth is not None:
        held = scene.truth.sum(axis=others, dtype=np.float64)
        wanted.append(int(held.argmax()))
        profile += held / held.max()
    if inside.any():
        wanted.append(int(np.unravel_index(inside.argmax(), inside.shape)[axis]))
    by_profile = [int(i) for i in np.argsort(-profile, kind="stable") if i in wide]
    chosen: list[int] = []
    for part in (1.0, 0.85, 0.7, 0.55, 0.4, 0.2, 0.0):
        chosen = _apart(wanted + by_profile, part * spread * even, n_slices)
        if len(chosen) == n_slices:
            break
    return sorted(chosen)


def _apart(candidates: Sequence[int], spacing: float, n_slices: int) -> list[int]:
    chosen: list[int] = []
    for index in candidates:
        if len(chosen) < n_slices and all(abs(index - c) >= max(spacing, 1) for c in chosen):
            chosen.append(index)
    return chosen
