"""The MNI152 template that nilearn carries: a mean brain, its mask and its centre."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.volume import Volume, resample

__all__ = ["mni152_brain_mask", "mni152_centre", "mni152_template"]


def mni152_template(resolution: float = 1) -> Volume:
    """Load the skull-stripped T1 template ICBM152 2009a (nonlinear, symmetric).

    Parameters
    ----------
    resolution : float, mm, default=1
        Edge length of the voxels.

    Returns
    -------
    Volume
        Values from 0 to 1, 197 x 233 x 189 voxels at 1 mm.

    Raises
    ------
    InputError
        If the resolution is not above zero.

    References
    ----------
    Fonov et al. (2011), NeuroImage 54:313, doi:10.1016/j.neuroimage.2010.07.033.
    """
    from nilearn.datasets import load_mni152_template

    if not resolution > 0:
        raise InputError(f"The resolution must be above 0 mm; {resolution} was given.")
    image = load_mni152_template(resolution=resolution)
    x, y, z = image.shape
    values = np.ascontiguousarray(image.dataobj, dtype=np.float32)
    return Volume(values, Grid((x, y, z), image.affine), "MNI152")


def mni152_brain_mask(grid: Grid) -> NDArray[np.bool_]:
    """Tell which voxels of a grid lie in the MNI152 brain.

    Parameters
    ----------
    grid : Grid
        Any grid in MNI152 space.

    Returns
    -------
    array (X, Y, Z), bool
        Where the 1 mm mask, interpolated, is at least one half.
    """
    mask, source = _mask_1mm()
    inside: NDArray[np.bool_] = resample(mask, source, grid) >= 0.5
    return inside


@cache
def mni152_centre() -> tuple[float, float, float]:
    """Return the centre of mass of the MNI152 brain mask, RAS+ mm."""
    mask, grid = _mask_1mm()
    x, y, z = grid.to_world(np.argwhere(mask).mean(axis=0))
    return float(x), float(y), float(z)


def _mask_1mm() -> tuple[NDArray[np.float32], Grid]:
    from nilearn.datasets import load_mni152_brain_mask

    image = load_mni152_brain_mask(resolution=1)
    x, y, z = image.shape
    return np.asarray(image.dataobj, dtype=np.float32), Grid((x, y, z), image.affine)
