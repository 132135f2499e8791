"""Whether another training gives other maps than a training that was done again would give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from voxplain.errors import InputError
from voxplain.trust.agreement import spearman

__all__ = ["Retraining", "Shared", "against_retraining", "shared_with"]

_MOST = 1000
_FEWEST = 3


@dataclass(frozen=True)
class Retraining:
    """How alike maps of one training are, and how alike to those of another.

    Parameters
    ----------
    own : float
        Mean rank correlation over pairs of the training's own networks.
    other : float
        Mean over pairs of one of its networks and one of the other training's.
    p : float
        Share of the ways to deal the networks into two trainings in which each is as much more like
        itself than like the other.
    least_p : float
        What `p` can be at best: .1 of three networks each, .03 of four, .008 of five.
    networks : int
        Of each training.
    """

    own: float
    other: float
    p: float
    least_p: float
    networks: int


def against_retraining(
    own: Sequence[ArrayLike], others: Sequence[ArrayLike], brain: ArrayLike, seed: int = 0
) -> Retraining:
    """Compare maps of a training's networks with each other and with those of another training.

    Had the second training been like the first, its networks could be exchanged for those of the
    first. Networks of one place in their lists, which began with the same weights and saw the same
    scans, are never compared.

    Parameters
    ----------
    own, others : sequence of array (X, Y, Z)
        A map of each network, such as the mean map of the scans that its fold held out; two
        networks at least, as many in both.
    brain : array (X, Y, Z), bool
    seed : int, default=0
        Of the draws, where there are too many ways to go through.

    Returns
    -------
    Retraining

    Raises
    ------
    InputError
        If there are fewer than two networks, or the numbers differ.
    """
    count, alike = len(own), _alike(own, others, brain, 2)
    first = np.arange(2 * count) < count
    found = _contrast(alike, first)
    dealt = [_contrast(alike, side) for side in _deals(count, seed)]
    known = [value for value in dealt if np.isfinite(value)]
    return Retraining(
        own=float(np.nanmean(alike[:count, :count])),
        other=float(np.nanmean(alike[:count, count:])),
        p=float(np.mean([value >= found - 1e-12 for value in known])),
        least_p=1 / len(known),
        networks=count,
    )


def _contrast(alike: NDArray[np.float64], side: NDArray[np.bool_]) -> float:
    """How much more alike networks are within two sides than across; NaN where none can be told."""
    same = side[:, None] == side[None]
    within, across = alike[same], alike[~same]
    if np.isnan(within).all() or np.isnan(across).all():
        return float("nan")
    return float(np.nanmean(within) - np.nanmean(across))


def _deals(count: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Deal networks into two sides of one size, the given deal first; all ways, or many at random.

    The first network stays where it is, as swapping the sides changes nothing.
    """
    rest = np.arange(1, 2 * count)
    if comb(2 * count - 1, count - 1) <= _MOST:
        for chosen in combinations(rest, count - 1):
            yield np.isin(np.arange(2 * count), np.array([0, *chosen]))
        return
    rng = np.random.default_rng(seed)
    yield np.arange(2 * count) < count
    for _ in range(_MOST - 1):
        chosen_at_random = rng.choice(rest, count - 1, replace=False)
        yield np.isin(np.arange(2 * count), np.append(chosen_at_random, 0))


@dataclass(frozen=True)
class Shared:
    """How much of what maps of one training have in common those of another share.

    Parameters
    ----------
    own : float
        Mean rank correlation over pairs of the training's own networks.
    other : float
        Mean over pairs of one of its networks and one of the other training's.
    p : float
        Of the maps sharing so much if those of the other training shared half of it at most; one
        less `p` is that of them sharing so little if they shared half of it at least.
    networks : int
        Of each training.
    """

    own: float
    other: float
    p: float
    networks: int


def shared_with(
    own: Sequence[ArrayLike], others: Sequence[ArrayLike], brain: ArrayLike, half: float = 0.5
) -> Shared:
    """Ask whether maps of another training share more than half of what a training's maps share.

    The other training's correlation with this one, less half of this one's with itself, is tested
    against 0 by leaving out one place of the lists at a time (jackknife, Student's t with one
    degree of freedom less than places). Networks of one place, which began with the same weights
    and saw the same scans, are never compared.

    Parameters
    ----------
    own, others : sequence of array (X, Y, Z)
        A signed map of each network; three at least, as many in both.
    brain : array (X, Y, Z), bool
    half : float, default=0.5
        The share.

    Returns
    -------
    Shared

    Raises
    ------
    InputError
        If there are fewer than three networks, or the numbers differ.
    """
    count, alike = len(own), _alike(own, others, brain, _FEWEST)

    def figures(places: list[int]) -> tuple[float, float]:
        within = alike[np.ix_(places, places)]
        across = alike[np.ix_(places, [count + one for one in places])]
        return _mean(within), _mean(across)

    def beyond(places: list[int]) -> float:
        mine, theirs = figures(places)
        return theirs - half * max(mine, 0.0)

    every = list(range(count))
    whole = beyond(every)
    without = np.array([beyond([one for one in every if one != left]) for left in every])
    each = count * whole - (count - 1) * without
    error = float(each.std(ddof=1)) / np.sqrt(count)
    p = float(student.sf(whole / error, count - 1)) if error else float(whole <= 0)
    return Shared(*figures(every), p, count)


def _mean(values: NDArray[np.float64]) -> float:
    """Average what is known; maps without any variation share nothing."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.0


def _alike(
    own: Sequence[ArrayLike], others: Sequence[ArrayLike], brain: ArrayLike, fewest: int
) -> NDArray[np.float64]:
    """Correlate maps of two trainings, array (2 n, 2 n); NaN for networks of one place."""
    count = len(own)
    if count < fewest or len(others) != count:
        raise InputError(
            f"Two trainings are compared by {fewest} networks or more, as many of each; "
            f"{count} and {len(others)} were given."
        )
    maps = [*own, *others]
    alike = np.full((2 * count, 2 * count), np.nan)
    for a, b in combinations(range(2 * count), 2):
        if a % count != b % count:
            alike[a, b] = alike[b, a] = spearman(maps[a], maps[b], brain)
    return alike
