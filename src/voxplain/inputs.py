"""What people give in place of a volume: a path, or an image of nibabel."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import numpy as np

from voxplain.errors import InputError
from voxplain.volume import Volume

if TYPE_CHECKING:
    from voxplain.images.files import ImageLike

__all__ = ["VolumeLike", "as_volume", "is_volume_like", "no_volume"]

VolumeLike: TypeAlias = "Volume | ImageLike"
"""A `Volume`, or what `Volume.from_nifti` reads one from."""


def is_volume_like(given: object) -> TypeGuard[VolumeLike]:
    """Tell whether something is one volume, or the path or nibabel image of one."""
    from voxplain.images.files import is_nibabel

    return isinstance(given, Volume | str | os.PathLike) or is_nibabel(given)


def as_volume(given: object) -> Volume:
    """Take a volume, or read it from a path or an image of nibabel.

    Parameters
    ----------
    given : Volume, path or nibabel image

    Returns
    -------
    Volume

    Raises
    ------
    InputError
        If it is anything else, with the way to a Volume; see also `Volume.from_nifti`.
    """
    if is_volume_like(given):
        return given if isinstance(given, Volume) else Volume.from_nifti(given)
    raise no_volume(given)


def no_volume(given: object) -> InputError:
    """Make the error for what is no `Volume`, with the way to one."""
    way = "make one with voxplain.Volume(values, voxplain.Grid(shape, affine))"
    if isinstance(given, np.ndarray) or hasattr(given, "detach"):
        way = (
            "an array does not say where its voxels lie; make one with voxplain.Volume(array, "
            "voxplain.Grid(array.shape, affine)), from an array (X, Y, Z)"
        )
    elif is_volume_like(given):
        way = "read it with voxplain.read_volume, or give a list of such"
    kind = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
    return InputError(
        "Each volume must be a voxplain Volume, values with their Grid, or the path or nibabel "
        f"image of one; {kind} was given: {way}."
    )
