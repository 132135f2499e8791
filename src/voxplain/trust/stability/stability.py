"""Stability: whether maps come out the same from another fold, seed, subject or session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from voxplain.errors import InputError
from voxplain.trust.comparison import Comparison
from voxplain.trust.ranks import brain_mask, inside, top_count, top_membership
from voxplain.trust.surrogates import drawn_like
from voxplain.trust.truth.chance import require_draws

__all__ = ["Stability", "icc", "stability"]


@dataclass(frozen=True)
class Stability:
    """How alike several maps of one thing are, beside maps that share nothing but smoothness.

    Parameters
    ----------
    maps : int
    fraction : float
        Share of the brain that is a map's top.
    dice : float
        Mean over all pairs, of the tops.
    dice_chance : float
        For unrelated maps: the tops' share of the brain, or the mean of random maps with the same
        envelopes.
    dice_95 : float
        95th percentile over random maps.
    spearman, spearman_95 : float
        Mean rank correlation over all pairs.
    icc, icc_95 : float
        Intraclass correlation ICC(2,1); see `icc`.
    draws : int
    """

    maps: int
    fraction: float
    dice: float
    dice_chance: float
    dice_95: float
    spearman: float
    spearman_95: float
    icc: float
    icc_95: float
    draws: int

    @property
    def above_chance(self) -> bool:
        """Whether the maps' tops and ranks are alike beyond chance."""
        return self.dice > self.dice_95 and self.spearman > self.spearman_95


def stability(maps: Sequence[ArrayLike], how: Comparison) -> Stability:
    """Compare maps of one scan, or group maps, from several folds, seeds or noisy inputs.

    Every random draw replaces each map by one of its own `surrogates`. A constant map, and any
    that does not look at the network, is perfectly stable: never judge by this alone.

    Parameters
    ----------
    maps : sequence of array (X, Y, Z)
        Two or more.
    how : Comparison

    Returns
    -------
    Stability

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If there are fewer than two maps, or one is not finite inside the brain.
    """
    if len(maps) < 2:
        raise InputError(f"Stability needs two maps or more; {len(maps)} was given.")
    require_draws(how.draws)
    mask = brain_mask(how.brain)
    values = np.stack([inside(m, mask, f"Map {n}") for n, m in enumerate(maps, 1)])
    count = top_count(mask, how.fraction)
    fitter = None if how.envelope is None else how.envelope.on(mask)
    streams = [
        drawn_like(row, mask, how.draws, how.seed + 7919 * number, fitter)
        for number, row in enumerate(values)
    ]
    null = np.array([_alike(np.stack(drawn), count) for drawn in zip(*streams, strict=True)])
    dice, rank, intraclass = _alike(values, count)
    dice_95, rank_95, icc_95 = np.quantile(null, 0.95, axis=0, method="higher")
    chance = count / values.shape[1] if fitter is None else float(null[:, 0].mean())
    return Stability(
        maps=len(maps),
        fraction=float(how.fraction),
        dice=dice,
        dice_chance=chance,
        dice_95=float(dice_95),
        spearman=rank,
        spearman_95=float(rank_95),
        icc=intraclass,
        icc_95=float(icc_95),
        draws=how.draws,
    )


def icc(values: NDArray[np.float64]) -> float:
    """Compute the intraclass correlation ICC(2,1) of raters over targets.

    The share of the variance that voxels make, maps being drawn from all that might have been
    made, and their levels counting (Shrout and Fleiss 1979, *Psychol Bull* 86:420).

    Parameters
    ----------
    values : array (maps, V)

    Returns
    -------
    float
        1 for equal maps, about 0 for unrelated ones, 0 where nothing varies.
    """
    raters, targets = values.shape
    whole = values.mean()
    between = raters * np.sum((values.mean(axis=0) - whole) ** 2) / (targets - 1)
    levels = targets * np.sum((values.mean(axis=1) - whole) ** 2) / (raters - 1)
    total = np.sum((values - whole) ** 2)
    rest = total - between * (targets - 1) - levels * (raters - 1)
    error = rest / ((raters - 1) * (targets - 1))
    below = between + (raters - 1) * error + raters * (levels - error) / targets
    return float((between - error) / below) if below > 0 else 0.0


def _alike(values: NDArray[np.float64], count: int) -> tuple[float, float, float]:
    """Mean Dice and rank correlation over all pairs, from sums over the maps, and the ICC."""
    tops = np.stack([top_membership(row, count) for row in values])
    ranks = np.stack([rankdata(row) for row in values])
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.sqrt((ranks**2).sum(axis=1, keepdims=True))
    ranks /= np.where(length > 0, length, 1)
    return _over_pairs(tops) / count, _over_pairs(ranks), icc(values)


def _over_pairs(rows: NDArray[np.float64]) -> float:
    own = np.sum(rows**2)
    return float((np.sum(rows.sum(axis=0) ** 2) - own) / (len(rows) * (len(rows) - 1)))
