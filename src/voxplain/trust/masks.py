"""Masks of where a map is strong, and random ones of the same size and smoothness."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust.fields import fwhm_of, gaussian_amplitude, random_fields
from voxplain.trust.ranks import brain_mask, inside

__all__ = ["Overlap", "hard_mask", "overlap", "random_score", "soft_mask"]


class Overlap(NamedTuple):
    """How a mask and a true region meet.

    Parameters
    ----------
    precision : float
        Share of the mask that lies in the true region.
    sensitivity : float
        Share of the true region that the mask lets through.
    """

    precision: float
    sensitivity: float


def hard_mask(score: ArrayLike, brain: ArrayLike, share: float) -> NDArray[np.float32]:
    """Keep the strongest voxels of the brain.

    Parameters
    ----------
    score : array (X, Y, Z)
        Zero or more; see `voxplain.trust.truth.localisation.strength`.
    brain : array (X, Y, Z), bool
    share : float
        Of the brain's voxels that are kept, above 0 and below 1. Ties are broken by place.

    Returns
    -------
    array (X, Y, Z), float32, 0 or 1
        Zero outside the brain.

    Raises
    ------
    InputError
        If the share is out of range.
    """
    mask = brain_mask(brain)
    if not 0 < share < 1:
        raise InputError(f"The share of the brain must lie between 0 and 1; {share} was given.")
    taken = inside(score, mask, "The score")
    count = max(1, round(share * len(taken)))
    out = np.zeros(mask.shape, dtype=np.float32)
    kept = np.zeros(len(taken), dtype=np.float32)
    kept[np.argsort(-taken, kind="stable")[:count]] = 1
    out[mask] = kept
    return out


def soft_mask(score: ArrayLike, brain: ArrayLike, share: float) -> NDArray[np.float32]:
    """Weigh voxels by the rank of their strength, so that the weights add up to a share.

    A voxel's weight is ``rank ** power``, ranks from 0 to 1, with the power at which the mean
    weight inside the brain is `share`: a soft mask lets as much through as the hard one of that
    share, and does not depend on how a map is scaled.

    Parameters
    ----------
    score, brain, share
        See `hard_mask`.

    Returns
    -------
    array (X, Y, Z), float32, from 0 to 1
        Zero outside the brain.
    """
    mask = brain_mask(brain)
    if not 0 < share < 1:
        raise InputError(f"The share of the brain must lie between 0 and 1; {share} was given.")
    taken = inside(score, mask, "The score")
    out = np.zeros(mask.shape, dtype=np.float32)
    # The mean of r ** p over ranks that fill 0 to 1 evenly is 1 / (p + 1).
    out[mask] = (rankdata(taken) / len(taken)) ** (1 / share - 1)
    return out


def random_score(score: ArrayLike, grid: Grid, brain: ArrayLike, seed: int) -> NDArray[np.float32]:
    """Draw a score without information that is as smooth as a given one inside the brain.

    Parameters
    ----------
    score : array (X, Y, Z)
    grid : Grid
    brain : array (X, Y, Z), bool
    seed : int

    Returns
    -------
    array (X, Y, Z), float32
    """
    width = fwhm_of(score, grid, brain)
    (field,) = random_fields(gaussian_amplitude(grid, width), 1, seed)
    return np.asarray(field - field.min(), dtype=np.float32)


def overlap(mask: ArrayLike, truth: ArrayLike) -> Overlap:
    """Say how much of a mask lies in a true region, and how much of the region it lets through.

    Parameters
    ----------
    mask : array (X, Y, Z), from 0 to 1
        A soft mask counts by its weights.
    truth : array (X, Y, Z), bool

    Returns
    -------
    Overlap

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the mask or the truth is empty.
    """
    weights, region = np.asarray(mask, dtype=np.float64), np.asarray(truth, dtype=bool)
    if weights.shape != region.shape:
        raise GridError(
            f"A mask of shape {weights.shape} and a true region of shape {region.shape} cannot be "
            "compared; both must lie on one grid."
        )
    shared, size, full = weights[region].sum(), weights.sum(), np.count_nonzero(region)
    if not size > 0 or not full:
        raise InputError("The overlap of an empty mask or true region is not defined.")
    return Overlap(float(shared / size), float(shared / full))
