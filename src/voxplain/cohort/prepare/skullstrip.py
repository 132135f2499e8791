"""Find the brain in a whole head with the network of the package deepbet."""

from __future__ import annotations

from functools import cache
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.volume import Volume

__all__ = ["find_brain"]


def find_brain(head: Volume) -> NDArray[np.bool_]:
    """Mask the brain of a T1w scan with its skull.

    Parameters
    ----------
    head : Volume

    Returns
    -------
    array (X, Y, Z), bool
        On the scan's grid.

    Raises
    ------
    InputError
        If deepbet is not installed, or finds no brain.

    References
    ----------
    Fisch et al. (2024), deepbet: fast brain extraction of T1-weighted MRI using convolutional
    neural networks, Computers in Biology and Medicine 179:108845.
    """
    image = nib.Nifti1Image(head.values, head.grid.affine)
    try:
        _, mask, _ = _network().run(image)
    except (AssertionError, IndexError, RuntimeError) as error:
        raise InputError(
            "No brain was found in the scan; check that it is a T1w scan of a head, or give a mask."
        ) from error
    found: NDArray[np.bool_] = np.asarray(mask.dataobj) > 0
    if found.shape != head.grid.shape or not found.any():
        raise InputError("No brain was found in the scan; give a mask.")
    return found


@cache
def _network() -> Any:
    """Load the network once in each process; its weights come with the package."""
    try:
        from deepbet.bet import BrainExtraction
    except ImportError as error:
        raise InputError(
            "Skull stripping needs deepbet; install it with: pip install 'voxplain[skullstrip]', "
            "or give masks."
        ) from error
    return BrainExtraction(no_gpu=True)
