"""Whether a map finds a truth that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust.ranks import brain_mask, inside, rank_scores, top_membership
from voxplain.volume import smooth

__all__ = ["FWHM_MM", "Localisation", "average_precision", "localise", "strength", "truth_inside"]

FWHM_MM = 8.0
"""Every map of a phantom is smoothed by this much before it is scored, the controls' too: the usual
kernel of voxel-based morphometry."""


@dataclass(frozen=True)
class Localisation:
    """How well a score finds the truth, inside the brain.

    Parameters
    ----------
    average_precision : float
        Area under the precision-recall curve (a step function, without interpolation).
    auroc : float
        Area under the ROC curve; flattering where the truth is small, since most of the
        background is easy.
    dice_matched : float
        Dice of the truth with as many top voxels as it has; equal to relevance rank accuracy
        (Arras et al. 2022, *Information Fusion* 81:14).
    mass : float
        Share of the score's positive mass that lies in the truth, 0 where the score has no
        positive value (relevance mass accuracy, the same paper).
    chance_ap : float
        Average precision of a score without information: the truth's share of the brain. It is
        also the chance level of `dice_matched`, and of `mass` for a constant score.
    lift : float
        `average_precision` over `chance_ap`.
    """

    average_precision: float
    auroc: float
    dice_matched: float
    mass: float
    chance_ap: float
    lift: float


def localise(score: ArrayLike, truth: ArrayLike, brain: ArrayLike) -> Localisation:
    """Score a map against a truth, inside the brain alone.

    Tied voxels are never ordered by their position: the two curves step over a tie as a whole,
    and `dice_matched` is its expectation when ties are drawn by lot. A constant score has exactly
    the average precision, AUROC and Dice of chance.

    Parameters
    ----------
    score : array (X, Y, Z)
        Higher means more evidence; `strength` makes one from a signed map.
    truth : array (X, Y, Z), bool
        Voxels outside the brain are left out.
    brain : array (X, Y, Z), bool

    Returns
    -------
    Localisation

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the truth is empty inside the brain or covers all of it, if a mask is not boolean, or
        if the score is not finite inside the brain.
    """
    mask = brain_mask(brain)
    inner = truth_inside(truth, mask)
    values = inside(score, mask, "The score")
    size = int(np.count_nonzero(inner))
    chance = size / len(inner)
    ap = float(average_precision_score(inner, values))
    positive = np.clip(values, 0, None)
    total = float(positive.sum())
    return Localisation(
        average_precision=ap,
        auroc=float(roc_auc_score(inner, values)),
        dice_matched=float(top_membership(values, size)[inner].sum()) / size,
        mass=float(positive[inner].sum()) / total if total > 0 else 0.0,
        chance_ap=chance,
        lift=ap / chance,
    )


def strength(values: ArrayLike, grid: Grid, fwhm: float) -> NDArray[np.float32]:
    """Turn a signed map into a score: smooth it, then take the absolute value.

    The order matters. Gradients of a network flip their sign from voxel to voxel around a value
    that is steady over a region; smoothing first lets that noise cancel and keeps what is
    steady. The absolute value first would turn the noise into a floor of evidence everywhere.
    Averaging over subjects belongs before either step, for the same reason: give the signed mean.

    Parameters
    ----------
    values : array (X, Y, Z)
        Signed map.
    grid : Grid
    fwhm : float, mm
        Full width at half maximum of the Gaussian; 0 for none.

    Returns
    -------
    array (X, Y, Z), float32
        Zero or more, in the unit of the map.

    Raises
    ------
    GridError
        If the map is not on the grid.
    InputError
        If the width is negative or not finite.
    """
    if not np.isfinite(fwhm) or fwhm < 0:
        raise InputError(f"A width must be a finite number of mm, 0 or more; {fwhm} was given.")
    if np.shape(values) != grid.shape:
        raise GridError(f"The map has shape {np.shape(values)}, its grid {grid.shape}.")
    return np.abs(smooth(values, grid, fwhm))


def truth_inside(truth: ArrayLike, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take a truth's voxels inside the brain.

    Parameters
    ----------
    truth, mask : array (X, Y, Z), bool

    Returns
    -------
    array (V,), bool
        One value for each of the V voxels of the mask.

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the truth is not boolean, is empty inside the brain or covers all of it.
    """
    array = np.asarray(truth)
    if array.dtype != np.bool_:
        raise InputError(f"The truth must be boolean; {array.dtype} was given.")
    if array.shape != mask.shape:
        raise GridError(
            f"The truth has shape {array.shape}, the brain mask {mask.shape}; "
            "resample one of them first."
        )
    inner: NDArray[np.bool_] = array[mask]
    if not inner.any():
        raise InputError("The truth has no voxel inside the brain: there is nothing to find.")
    if inner.all():
        raise InputError("The truth covers the whole brain: no map could miss it.")
    return inner


def average_precision(truth: NDArray[np.bool_], score: NDArray[np.floating]) -> float:
    """Compute the average precision from the ranks of the true voxels alone, ten times faster.

    Parameters
    ----------
    truth : array (V,), bool
    score : array (V,)

    Returns
    -------
    float
    """
    return rank_scores(score, truth).average_precision
