"""Arrays on their grid as NIfTI."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.grid import Grid

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

__all__ = ["nifti_bytes", "nifti_image"]


def nifti_image(values: NDArray[Any], grid: Grid) -> Nifti1Image:
    """Make a NIfTI-1 image of an array on its grid.

    Masks become uint8, all else float32; sform and qform both hold the grid's affine.
    """
    import nibabel

    kind = np.uint8 if values.dtype == bool else np.float32
    image = nibabel.Nifti1Image(np.asarray(values, dtype=kind), grid.affine)
    image.set_sform(grid.affine, code="scanner")
    image.set_qform(grid.affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return image


def nifti_bytes(values: NDArray[Any], grid: Grid) -> bytes:
    """Return an array on its grid as the bytes of a compressed NIfTI-1 file.

    Masks become uint8, all else float32; equal input gives equal bytes.
    """
    return gzip.compress(nifti_image(values, grid).to_bytes(), compresslevel=4, mtime=0)
