"""Atlases of four dimensions: a map of probability for each region."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid

__all__ = ["most_probable", "read_probabilities", "volumes_in"]

_QUARTER = 0.25


def volumes_in(image: Path) -> int:
    """Count the volumes of an image, by its header; 1 where it cannot be read as one."""
    import nibabel

    try:
        opened: Any = nibabel.load(image)
        shape = opened.shape
    except (OSError, ValueError, nibabel.filebasedimages.ImageFileError):
        return 1
    return int(shape[3]) if len(shape) == 4 else 1


def read_probabilities(image: Path, threshold: float | None) -> tuple[NDArray[np.int32], Grid]:
    """Read an image of four dimensions as labels: of each voxel, the most probable region.

    Parameters
    ----------
    image : path
    threshold : float or None
        See `most_probable`.

    Returns
    -------
    labels : array (X, Y, Z), int32
        1 for the first map; 0 where none is above the threshold.
    grid : Grid

    Raises
    ------
    InputError
        If it cannot be read, or holds values below 0 or that are not finite.
    """
    import nibabel

    try:
        opened: Any = nibabel.load(image)
        x, y, z, _ = opened.shape
        grid = Grid((x, y, z), np.asarray(opened.affine, dtype=np.float64))
        return most_probable(opened.dataobj, opened.shape, threshold, str(image)), grid
    except (OSError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{image} cannot be read as an image; it is damaged.") from error


def most_probable(
    maps: Any, shape: tuple[int, ...], threshold: float | None, name: str
) -> NDArray[np.int32]:
    """Find the region that is most probable in each voxel; the first of equals.

    Parameters
    ----------
    maps : array-like (X, Y, Z, K)
        Gone through map by map.
    shape : tuple of 4 ints
    threshold : float or None
        The largest value that is still of no region; None for a quarter of 1, or of 100 where
        values go beyond 1.
    name : str
        Of the image, for messages.

    Returns
    -------
    array (X, Y, Z), int32
    """
    best = np.zeros(shape[:3], dtype=np.float32)
    labels = np.zeros(shape[:3], dtype=np.int32)
    for number in range(shape[3]):
        one = np.asarray(maps[..., number], dtype=np.float32)
        if not np.isfinite(one).all() or one.min() < 0:
            raise InputError(
                f"{name} holds values below 0 or that are not finite, which are no probabilities."
            )
        above = one > best
        best[above], labels[above] = one[above], number + 1
    if not best.any():
        raise InputError(f"{name} is zero everywhere; give an image of regions.")
    if threshold is None:
        threshold = _QUARTER * (100 if best.max() > 1 else 1)
    labels[best <= threshold] = 0
    return labels
