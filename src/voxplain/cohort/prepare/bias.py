"""Remove the slow brightness changes that a coil leaves in a scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid

__all__ = ["without_bias_field"]

_SHRINK_MM = 4.0


def without_bias_field(
    values: NDArray[np.float32], grid: Grid, mask: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Divide a scan by its bias field, estimated within a mask on voxels of about 4 mm.

    Parameters
    ----------
    values : array (X, Y, Z), float32
    grid : Grid
    mask : array (X, Y, Z), bool

    Returns
    -------
    array (X, Y, Z), float32

    Raises
    ------
    InputError
        If SimpleITK is not installed.

    References
    ----------
    Tustison et al. (2010), N4ITK: improved N3 bias correction, IEEE TMI 29:1310.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise InputError(
            "Bias field correction needs SimpleITK; install it with: pip install 'voxplain[n4]'."
        ) from error
    spacing = tuple(reversed(grid.voxel_size))
    shrink = [
        max(1, min(round(_SHRINK_MM / size), n // 8 or 1))
        for size, n in zip(grid.voxel_size, grid.shape, strict=True)
    ]
    image, inside = (
        SimpleITK.GetImageFromArray(values),
        SimpleITK.GetImageFromArray(mask.astype(np.uint8)),
    )
    for part in (image, inside):
        part.SetSpacing(spacing)
    n4 = SimpleITK.N4BiasFieldCorrectionImageFilter()
    n4.Execute(*(SimpleITK.Shrink(part, shrink[::-1]) for part in (image, inside)))
    field = SimpleITK.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))
    return np.asarray(values / np.exp(field), dtype=np.float32)
