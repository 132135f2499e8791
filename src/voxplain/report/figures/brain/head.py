"""Where the head is, and what its tissue looks like in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bounding_box", "head_mask", "tissue_grey"]

_FRINGE: Final = 0.4
_FRINGE_MM: Final = 3.0
_NECK: Final = 0.1


def head_mask(background: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find the head, or the brain of a stripped scan, against the air around it.

    Parameters
    ----------
    background : array (X, Y, Z)
        Axes to right, front and top.

    Returns
    -------
    array (X, Y, Z), bool
        The largest connected body, holes filled; everything, where nothing stands out.
    """
    faces = [np.take(background, [0, -1], axis=axis).ravel() for axis in range(3)]
    contrast = np.abs(background - np.median(np.concatenate(faces)))
    bright = contrast[contrast > 0]
    if bright.size == 0:
        return np.ones(background.shape, dtype=bool)
    mask = contrast > 0.3 * np.percentile(bright, 98)
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    body = labels == sizes.argmax()
    box = bounding_box(body)
    closed = ndimage.binary_closing(np.pad(body[box], 2, mode="edge"), iterations=2)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(closed)[2:-2, 2:-2, 2:-2]
    if body[:, :, 0].mean() > _NECK:
        # The field of view cuts the neck, so that the skull is open below, but not slice by slice.
        slices = [ndimage.binary_fill_holes(filled[:, :, k]) for k in range(filled.shape[2])]
        # An ear's canal opens the ring of a few slices, which their neighbours close.
        stack = np.pad(np.stack(slices, axis=2), ((0, 0), (0, 0), (8, 8)), mode="edge")
        filled = ndimage.binary_closing(stack, np.ones((1, 1, 15), dtype=bool))[:, :, 8:-8]
    head: NDArray[np.bool_] = np.zeros(body.shape, dtype=bool)
    head[box] = filled
    return head


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """Return the smallest box about a mask, array (X, Y, Z), and a voxel around it."""
    sides = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        sides.append(slice(max(inside[0] - 1, 0), min(inside[-1] + 2, mask.shape[axis])))
    return sides[0], sides[1], sides[2]


def tissue_grey(
    anatomy: NDArray[np.float32], head: NDArray[np.bool_], voxel_size: float
) -> NDArray[np.float32]:
    """Scale an anatomy to grey, 0 to 1 between the head's 0.5th and 99.5th percentile.

    Parameters
    ----------
    anatomy : array (X, Y, Z)
    head : array (X, Y, Z), bool
    voxel_size : float, mm

    Returns
    -------
    array (X, Y, Z), float32
        Beyond the head, and in dark voxels of its rim that are half air, the grey of the nearest
        tissue: air would draw a black fringe about every cut.
    """
    low, high = np.percentile(anatomy[head], [0.5, 99.5])
    grey = np.clip((anatomy - low) / max(high - low, 1e-12), 0, 1)
    depth = max(round(_FRINGE_MM / voxel_size), 1)
    fringe = head & ~ndimage.binary_erosion(head, iterations=depth) & (grey < _FRINGE)
    solid = head & ~fringe
    if not solid.any():
        solid = head
    nearest = ndimage.distance_transform_edt(~solid, return_distances=False, return_indices=True)
    tissue: NDArray[np.float32] = grey[tuple(nearest)].astype(np.float32)
    return tissue
