"""Arrays without a header, whose place in space follows from the data set that they belong to."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.images.files import ImageFile, open_raw

__all__ = ["read_array"]


def _mni(millimetres: float, shape: tuple[int, int, int]) -> Grid:
    affine = np.diag([-millimetres, millimetres, millimetres, 1.0])
    affine[:3, 3] = (90, -126, -72)
    return Grid(shape, affine)


# OpenBHB's three-dimensional arrays: CAT12's maps at 1.5 mm, and FSL's MNI152 at 1 mm.
_GRIDS = {
    shape: _mni(size, shape)
    for size, shape in (
        (1.5, (121, 145, 121)),
        (1.0, (182, 218, 182)),
    )
}


def read_array(image: ImageFile) -> tuple[NDArray[np.float32], Grid]:
    """Read a ``.npy`` file of OpenBHB.

    Parameters
    ----------
    image : ImageFile

    Returns
    -------
    values : array (X, Y, Z), float32
    grid : Grid

    Raises
    ------
    InputError
        If it is no such array of real numbers, or of another shape.
    """
    with open_raw(image) as stream:
        content = stream.read()
    try:
        values = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"{image} is not a whole .npy array of numbers; copy or download it again."
        ) from error
    shape = values.shape[-3:]
    if values.size != int(np.prod(shape)) or shape not in _GRIDS:
        known = " or ".join("×".join(map(str, s)) for s in _GRIDS)
        raise InputError(
            f"{image} has shape {values.shape}; a .npy file has no affine, and only arrays of "
            f"{known} voxels, as of OpenBHB, have a known place."
        )
    if values.dtype.kind not in "iuf":
        raise InputError(f"{image} holds {values.dtype} values, not intensities.")
    return np.ascontiguousarray(values.reshape(shape), dtype=np.float32), _GRIDS[shape]
