"""Scans from files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxplain.volume import Volume

if TYPE_CHECKING:
    from voxplain.images.files import ImageLike

__all__ = ["read_volume"]


def read_volume(
    path: ImageLike, subject: str | None = None, orientation: str | None = None
) -> Volume:
    """Read a scan: `voxplain.Volume.from_nifti` by the name that people look for.

    Parameters
    ----------
    path, subject, orientation
        See `voxplain.Volume.from_nifti`.

    Returns
    -------
    Volume
    """
    return Volume.from_nifti(path, subject, orientation)
