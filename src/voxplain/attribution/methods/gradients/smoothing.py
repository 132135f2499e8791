"""Maps smoothed by a width in mm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxplain.attribution.methods.reference import blurred
from voxplain.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["require_width", "smoothed"]

_FWHM = math.sqrt(8 * math.log(2))


def smoothed(maps: torch.Tensor, voxel_size: Sequence[float], fwhm: float) -> torch.Tensor:
    """Smooth maps with a Gaussian.

    Parameters
    ----------
    maps : tensor (N, X, Y, Z)
    voxel_size : sequence of 3 floats, mm
    fwhm : float, mm
        Full width at half maximum; 0 leaves them as they are.

    Returns
    -------
    tensor (N, X, Y, Z)
    """
    return blurred(maps[:, None], [fwhm / _FWHM / size for size in voxel_size])[:, 0]


def require_width(name: str, width: float) -> None:
    """Refuse a width that is negative or not finite.

    Raises
    ------
    InputError
        If it is.
    """
    if not (math.isfinite(width) and width >= 0):
        raise InputError(f"{name} must be 0 mm or more; {width} was given.")
