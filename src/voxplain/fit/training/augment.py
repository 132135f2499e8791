"""Small random changes of training images, by MONAI's transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain.errors import InputError, unknown_name
from voxplain.grid import Grid

__all__ = ["CHANGES", "changer", "mirror"]

CHANGES = ("affine", "noise", "intensity")
"""Rotations up to 5°, shifts up to 4 mm and scales up to 5 %; Gaussian noise; gain and gamma."""

_DEGREES, _MILLIMETRES, _SCALE = 5.0, 4.0, 0.05
_NOISE, _GAIN, _GAMMA = 0.05, 0.1, (0.9, 1.1)


def changer(
    names: Sequence[str], grid: Grid
) -> Callable[[NDArray[np.float32], int], NDArray[np.float32]]:
    """Make the function that changes one image.

    Parameters
    ----------
    names : sequence of {"affine", "noise", "intensity"}
    grid : Grid
        Of the images.

    Returns
    -------
    callable
        Takes an image, array (X, Y, Z), and a seed, and gives the changed image.

    Raises
    ------
    InputError
        If a change is unknown or MONAI is not installed.
    """
    for name in names:
        if name not in CHANGES:
            raise unknown_name("augmentation", name, CHANGES)
    if not names:
        return lambda image, seed: image
    try:
        from monai.transforms.intensity.array import RandAdjustContrast, RandScaleIntensity
        from monai.transforms.spatial.array import RandAffine
    except ImportError as error:
        raise InputError(
            "Random changes of images need MONAI; install it with: pip install 'voxplain[monai]'."
        ) from error
    steps: list[Any] = []
    if "affine" in names:
        steps.append(
            RandAffine(
                prob=1.0,
                rotate_range=[np.deg2rad(_DEGREES)] * 3,
                translate_range=[_MILLIMETRES / size for size in grid.voxel_size],
                scale_range=[_SCALE] * 3,
                padding_mode="zeros",
            )
        )
    if "intensity" in names:
        steps.append(RandAdjustContrast(prob=1.0, gamma=_GAMMA))
        steps.append(RandScaleIntensity(factors=_GAIN, prob=1.0))
    noisy = "noise" in names

    def change(image: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        made = torch.from_numpy(image)[None]
        for number, step in enumerate(steps):
            step.set_random_state(seed=(seed + number) % 2**32)
            made = step(made)
        out: NDArray[np.float32] = np.array(torch.as_tensor(made[0]).numpy(), dtype=np.float32)
        if noisy:
            # Relative to the image's own contrast; the background of a stripped brain stays empty.
            rng = np.random.default_rng(seed)
            noise = rng.normal(size=out.shape).astype(np.float32) * _NOISE * float(out.std())
            out += np.where(out != 0, noise, 0)
        return out

    return change


def mirror(images: NDArray[np.float32], grid: Grid, which: NDArray[np.bool_]) -> None:
    """Exchange left and right of some images, in place.

    Parameters
    ----------
    images : array (N, X, Y, Z)
    grid : Grid
    which : array (N,), bool
    """
    axis = next(i for i, letter in enumerate(grid.orientation) if letter in "LR")
    for index in np.flatnonzero(which):
        images[index] = np.flip(images[index], axis).copy()
