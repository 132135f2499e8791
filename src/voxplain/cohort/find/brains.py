"""Brains in a folder, each with its mask, ready to make phantoms of."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from voxplain.cohort.read.masks import read_mask
from voxplain.cohort.read.volumes import read_volume
from voxplain.errors import InputError
from voxplain.files.pointers import is_named
from voxplain.grid import Grid
from voxplain.volume import Volume

__all__ = ["find_brains", "read_brain"]

_SCAN = re.compile(r"T1w?\.(nii|nii\.gz|mgz)$", re.IGNORECASE)
_MASK = re.compile(r"mask\.(nii|nii\.gz|mgz)$", re.IGNORECASE)
_MARGIN = 2


def find_brains(place: Path) -> list[tuple[Path, Path | None]]:
    """Find the T1w scans of a folder, or the one of a file, each with the mask beside it.

    Parameters
    ----------
    place : path
        Of a scan, or of a folder with files whose names end with ``T1w`` (or ``T1``).

    Returns
    -------
    list of (path, path or None)
        In the order of the names. The mask is the file beside the scan whose name begins as that
        of the scan does and ends with ``mask``.

    Raises
    ------
    InputError
        If there is no such file or folder, or no scan in it.
    """
    if place.is_dir():
        # Folders of subjects are often links.
        walked = os.walk(place, followlinks=True)
        files = (Path(folder) / name for folder, _, names in walked for name in names)
        scans = sorted(path for path in files if _SCAN.search(path.name))
        if not scans:
            raise InputError(f"{place} holds no T1w scan; give a folder with files *_T1w.nii.gz.")
    elif is_named(place):
        scans = [place]
    else:
        raise InputError(f"There is no brain at {place}; give a T1w scan or a folder of them.")
    return [(scan, _mask_of(scan)) for scan in scans]


def _mask_of(scan: Path) -> Path | None:
    begin = scan.name.split("_")[0].split(".")[0]
    there = sorted(path for path in scan.parent.glob(f"{begin}*") if _MASK.search(path.name))
    brain = [path for path in there if "brain" in path.name]
    return next(iter(brain or there), None)


def read_brain(scan: Path, mask: Path | None) -> Volume:
    """Read a brain, what is outside its mask set to 0 and cut away.

    Parameters
    ----------
    scan : path
    mask : path, optional
        Without one the scan is taken as skull-stripped.

    Returns
    -------
    Volume

    Raises
    ------
    InputError
        If a file cannot be used, or nothing is above 0.
    """
    volume = read_volume(scan)
    values = np.maximum(volume.values, 0)
    if mask is not None:
        values = np.where(read_mask(mask, volume), values, 0)
    filled = np.argwhere(values > 0)
    if not len(filled):
        raise InputError(f"{scan} has no voxel above 0 inside the brain.")
    low = np.maximum(filled.min(axis=0) - _MARGIN, 0)
    high = np.minimum(filled.max(axis=0) + 1 + _MARGIN, values.shape)
    part = values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    affine = volume.grid.affine.copy()
    affine[:3, 3] = volume.grid.to_world(low.astype(float))
    x, y, z = part.shape
    return Volume(np.ascontiguousarray(part), Grid((x, y, z), affine), volume.subject)
