"""Real brains that phantoms are made of: found, read and laid over the template."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from voxplain.cohort.find.brains import find_brains, read_brain
from voxplain.cohort.prepare.alignment import laid_over_mni
from voxplain.cohort.prepare.templates import mni152_brain_mask
from voxplain.errors import InputError
from voxplain.progress import Progress
from voxplain.volume import Volume

__all__ = ["brains_of"]

_HEAD_ML = 2200.0
_FITS = 0.8


def brains_of(place: Path, progress: Progress) -> list[Volume]:
    """Read a brain, or a folder of brains, and lay each over the MNI152 template.

    Parameters
    ----------
    place : path
        See `find_brains`.
    progress : Progress

    Returns
    -------
    list of Volume
        Skull-stripped, in MNI152 space to a few millimetres.

    Raises
    ------
    InputError
        If there is no brain, a file cannot be used, or one does not fit the template.
    """
    found = find_brains(place)
    brains = []
    with progress.step("Reading brains", len(found)) as advance:
        for number, (scan, mask) in enumerate(found, start=1):
            brain = read_brain(scan, mask)
            size = np.count_nonzero(brain.values) * brain.grid.voxel_volume / 1000
            if size > _HEAD_ML:
                raise InputError(
                    f"{scan} fills {size:.0f} mL, like a whole head; lay a brain mask beside it, "
                    "with a name that ends with brain_mask.nii.gz."
                )
            laid = laid_over_mni(brain)
            if _overlap(laid) < _FITS:
                raise InputError(
                    f"{scan} does not fit the MNI152 template; check its orientation and its mask."
                )
            brains.append(laid)
            advance(number)
    return brains


def _overlap(brain: Volume) -> float:
    """Find the Dice coefficient of a brain and that of the template."""
    own, there = brain.values > 0, mni152_brain_mask(brain.grid)
    # What of the template lies outside the cut image counts as missed.
    volume = 1.83e6 / brain.grid.voxel_volume
    return float(2 * (own & there).sum() / (own.sum() + max(there.sum(), volume)))
