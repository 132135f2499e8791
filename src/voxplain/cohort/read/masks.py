"""Brain masks as people keep them: of zeros and ones, probabilities, labels, on other grids."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import GridError, InputError, VoxplainWarning
from voxplain.grid import Grid, require_same_grid
from voxplain.images.reading import name_of, read_image
from voxplain.inputs import VolumeLike, as_volume
from voxplain.volume import resample

if TYPE_CHECKING:
    from voxplain.images.files import ImageLike

__all__ = ["read_mask"]

# Largest values by which probabilities are known; splines overshoot by up to a third.
_TOPS = (1.0, 100.0, 255.0)
_OVERSHOOT = 0.35
_UNDER = 0.05
# Of a brain's probabilities, most are near the top; few grey levels of a scan are.
_NEAR_TOP, _MANY = 0.9, 0.2
_FEW_LEVELS = 20
_KEPT = 0.5


def read_mask(
    path: ImageLike, like: VolumeLike | Grid, orientation: str | None = None
) -> NDArray[np.bool_]:
    """Read a mask and bring it to the grid of a scan.

    Parameters
    ----------
    path : path, nibabel image or ImageFile
        As for `read_volume`. Of two values, labels or intensities, all above zero belongs
        to the mask; of probabilities, and of masks that were interpolated, what reaches half of
        their range.
    like : Volume, path, nibabel image or Grid
        The scan, or its grid. A mask of another shape is brought over by the affines.
    orientation : {"sform", "qform"}, optional
        As for `read_volume`.

    Returns
    -------
    array (X, Y, Z), bool

    Raises
    ------
    InputError
        If the file cannot be used, as for `read_volume`, no voxel is above zero, or many are below.
    GridError
        If the mask has the shape of the scan and lies elsewhere, or less than half of it lies in
        the scan's field of view.

    Warns
    -----
    VoxplainWarning
        If the mask holds more than two values and was cut at half of its range, if it holds
        intensities, or if it was brought over from another grid.
    """
    values, grid = read_image(path, orientation)
    image = name_of(path)
    target = like if isinstance(like, Grid) else as_volume(like).grid
    cut = _threshold(values, grid, image)
    if grid.near(target):
        return values >= cut if cut else values > 0
    reordered = _reordered(values, grid, target)
    if reordered is not None:
        return reordered >= cut if cut else reordered > 0
    unplaced = np.array_equal(grid.affine, np.eye(4))
    if unplaced or grid.shape == target.shape or _alike(grid, target):
        # No place was kept, or the same voxels by number lie elsewhere: a header is wrong.
        require_same_grid(grid, target, f"The mask {image} and the image")
    share = np.asarray(np.clip(values / (2 * cut), 0, 1) if cut else values > 0, dtype=np.float32)
    _say_brought_over(share, grid, target, image)
    return resample(share, grid, target) >= 0.5


def _threshold(values: NDArray[np.float32], grid: Grid, image: str) -> float:
    """Find the value from which a voxel belongs to the mask; 0 where all above zero do."""
    low, high = float(values.min()), float(values.max())
    if high <= 0:
        raise InputError(f"The mask {image} is empty: no voxel is above zero; give another mask.")
    if low < -_OVERSHOOT * high:
        raise InputError(
            f"The mask {image} holds values from {low:g} to {high:g}; give one that is 0 outside "
            "the brain and above 0 in it."
        )
    above = values[values > 0]
    if above.min() == high:
        return 0.0
    top = next((t for t in _TOPS if (1 - _UNDER) * t <= high <= (1 + _OVERSHOOT) * t), high)
    whole = bool((above == np.rint(above)).all())
    few = whole and len(np.unique(above)) <= _FEW_LEVELS
    heavy = np.mean(above[above >= (1 - _NEAR_TOP) * top] >= _NEAR_TOP * top) >= _MANY
    volume = grid.voxel_volume / 1000
    if (heavy and not few) or (top == 1 and not whole):
        warnings.warn(
            f"The mask {image} holds values between 0 and {high:g}, as probabilities or an "
            f"interpolated mask do; those of at least {top / 2:g} were taken for brain, "
            f"{np.count_nonzero(above >= top / 2) * volume:.0f} mL of "
            f"{len(above) * volume:.0f} mL above 0.",
            VoxplainWarning,
            stacklevel=3,
        )
        return top / 2
    if not whole or (top in _TOPS and not few):
        warnings.warn(
            f"The mask {image} holds many values up to {high:g}, as a scan does; all above 0 was "
            f"taken for brain, {len(above) * volume:.0f} mL.",
            VoxplainWarning,
            stacklevel=3,
        )
    return 0.0


def _reordered(values: NDArray[np.float32], grid: Grid, target: Grid) -> NDArray[np.float32] | None:
    """Turn an array whose voxels are the target's, with axes in another order or sense, else None.

    Returns
    -------
    array (X', Y', Z'), float32, or None
    """
    to_source = np.linalg.inv(grid.affine) @ target.affine
    turn = np.rint(to_source[:3, :3])
    order = np.abs(turn).argmax(axis=0)
    if sorted(order) != [0, 1, 2] or np.abs(turn).sum() != 3:
        return None
    turned = values.transpose(order)
    flipped = np.flip(turned, tuple(np.flatnonzero(turn.sum(axis=0) < 0)))
    affine = np.eye(4)
    affine[:3, :3] = turn
    affine[:3, 3] = [
        n - 1 if sign < 0 else 0 for n, sign in zip(grid.shape, turn.sum(1), strict=True)
    ]
    x, y, z = turned.shape
    same = Grid((x, y, z), grid.affine @ affine).near(target)
    return np.ascontiguousarray(flipped) if same else None


def _alike(grid: Grid, target: Grid) -> bool:
    a, b = sorted(grid.voxel_size), sorted(target.voxel_size)
    return sorted(grid.shape) == sorted(target.shape) and bool(np.allclose(a, b, rtol=0.01))


def _say_brought_over(share: NDArray[np.float32], grid: Grid, target: Grid, image: str) -> None:
    inside = np.argwhere(share >= 0.5)
    there = target.to_voxel(grid.to_world(inside))
    seen = ((there > -0.5) & (there < np.asarray(target.shape) - 0.5)).all(axis=1).mean()
    if seen < _KEPT:
        raise GridError(
            f"Only {100 * seen:.0f} % of the mask {image} lies in the field of view of the image: "
            f"{grid}, against {target}; give the mask of this scan."
        )
    warnings.warn(
        f"The mask {image} lies on another grid than the image ({grid}, against {target}) and was "
        f"brought over by the affines; {100 * seen:.0f} % of it lies in the image's field of view.",
        VoxplainWarning,
        stacklevel=3,
    )
