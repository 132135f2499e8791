"""What lies inside the brain, and which voxels are on top when values tie."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import GridError, InputError

__all__ = ["RankScores", "brain_mask", "inside", "rank_scores", "top_count", "top_membership"]

_SIDES: Final[tuple[Literal["left", "right"], ...]] = ("left", "right")


def brain_mask(brain: ArrayLike) -> NDArray[np.bool_]:
    """Check a brain mask.

    Parameters
    ----------
    brain : array (X, Y, Z), bool

    Returns
    -------
    array (X, Y, Z), bool

    Raises
    ------
    InputError
        If the mask is not boolean or is empty.
    """
    mask = np.asarray(brain)
    if mask.dtype != np.bool_:
        raise InputError(f"A mask must be boolean; {mask.dtype} was given: compare it to a level.")
    if not mask.any():
        raise InputError("The brain mask is empty: nothing can be compared inside it.")
    return mask


def inside(values: ArrayLike, mask: NDArray[np.bool_], what: str) -> NDArray[np.float64]:
    """Take a map's values inside the brain.

    Parameters
    ----------
    values : array (X, Y, Z)
    mask : array (X, Y, Z), bool
    what : str
        Names the map, as the start of a sentence: ``"The score"``.

    Returns
    -------
    array (V,), float64
        One value for each of the V voxels of the mask.

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If a value inside the brain is not finite.
    """
    array = np.asarray(values)
    if array.shape != mask.shape:
        raise GridError(
            f"{what} has shape {array.shape}, the brain mask {mask.shape}; "
            "resample one of them first."
        )
    taken: NDArray[np.float64] = array[mask].astype(np.float64)
    if not np.isfinite(taken).all():
        raise InputError(f"{what} has values inside the brain that are not finite.")
    return taken


def top_count(mask: NDArray[np.bool_], fraction: float) -> int:
    """Tell how many voxels are a map's top; one at least.

    Parameters
    ----------
    mask : array (X, Y, Z), bool
    fraction : float
        Share of the brain's voxels, above 0 and below 1.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise InputError(f"The top fraction must lie between 0 and 1; {fraction} was given.")
    return max(1, round(fraction * int(np.count_nonzero(mask))))


def top_membership(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Tell how surely each value is among the `count` largest when ties are drawn by lot.

    Values above the cut belong for certain and values below it do not. Values equal to the cut
    share the places that are left: each has the probability that a fair lottery would give it.
    Nothing depends on the order of the voxels, and no random number is needed.

    Parameters
    ----------
    values : array (V,)
    count : int
        Between 1 and V.

    Returns
    -------
    array (V,), float64
        Probabilities that sum to `count`.
    """
    cut = np.partition(values, len(values) - count)[len(values) - count]
    above = values > cut
    tied = values == cut
    places = count - np.count_nonzero(above)
    membership: NDArray[np.float64] = above + tied * (places / np.count_nonzero(tied))
    return membership


class RankScores(NamedTuple):
    """What the order of voxels tells of a score; see `Localisation` and `Places`.

    Parameters
    ----------
    average_precision, auroc, rank_accuracy, mass, max_f1 : float
    """

    average_precision: float
    auroc: float
    rank_accuracy: float
    mass: float
    max_f1: float


def rank_scores(score: NDArray[np.floating], truth: NDArray[np.bool_]) -> RankScores:
    """Find all measures of order with one sort, tied voxels taken together.

    Parameters
    ----------
    score : array (V,)
    truth : array (V,), bool
        Neither empty nor full.

    Returns
    -------
    RankScores
    """
    everywhere, hits = np.sort(score), np.sort(score[truth])
    count, size = len(everywhere), len(hits)
    below, up_to = (np.searchsorted(everywhere, hits, side) for side in _SIDES)
    hits_below, hits_up_to = (np.searchsorted(hits, hits, side) for side in _SIDES)
    found, retrieved = size - hits_below, count - below
    easier = (below - hits_below) + (up_to - below - hits_up_to + hits_below) / 2
    cut = everywhere[count - size]
    first, last = (int(np.searchsorted(everywhere, cut, side)) for side in _SIDES)
    first_hit, last_hit = (int(np.searchsorted(hits, cut, side)) for side in _SIDES)
    by_lot = (last_hit - first_hit) * (size - count + last) / (last - first)
    mass = float(np.clip(everywhere, 0, None).sum(dtype=np.float64))
    return RankScores(
        average_precision=float(np.mean(found / retrieved)),
        auroc=float(easier.mean() / (count - size)),
        rank_accuracy=(size - last_hit + by_lot) / size,
        mass=float(np.clip(hits, 0, None).sum(dtype=np.float64)) / mass if mass > 0 else 0.0,
        max_f1=float((2 * found / (retrieved + size)).max()),
    )
