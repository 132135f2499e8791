"""Faithfulness by region: what the network loses with each region of an atlas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from voxplain.errors import InputError
from voxplain.trust.faithfulness.removal import RemovalTest, Score, scores_of
from voxplain.trust.ranks import brain_mask, inside
from voxplain.trust.surrogates import surrogates

__all__ = ["RegionRemoval", "region_removal"]

_FEWEST_REGIONS = 5


@dataclass(frozen=True)
class RegionRemoval:
    """What the score loses with each region of an atlas, beside what the map says.

    Parameters
    ----------
    labels : tuple of int
    voxels : tuple of int
        Of each region, inside the brain.
    lost : tuple of float, logit
        By replacing the region with the reference.
    sums : tuple of float, in the unit of the map
        Of the map over the region; its mean times the number of voxels.
    spearman : float
        Rank correlation of `lost` and `sums`.
    spearman_95 : float
        95th percentile over random maps.
    draws : int
    """

    labels: tuple[int, ...]
    voxels: tuple[int, ...]
    lost: tuple[float, ...]
    sums: tuple[float, ...]
    spearman: float
    spearman_95: float
    draws: int

    @property
    def above_chance(self) -> bool:
        """Whether the correlation exceeds that of 95 % of random maps."""
        return self.spearman > self.spearman_95


def region_removal(
    score: Score,
    image: ArrayLike,
    map_: ArrayLike,
    brain: ArrayLike,
    reference: ArrayLike,
    labels: NDArray[np.integer],
    test: RemovalTest | None = None,
) -> RegionRemoval:
    """Take away one region after another, and compare what is lost with the map's sums.

    Parameters
    ----------
    score : callable
    image, map_, reference : array (X, Y, Z)
    brain : array (X, Y, Z), bool
    labels : array (X, Y, Z) of int
        Label of each voxel, 0 for none: ``atlas.on(grid).labels``.
    test : RemovalTest, optional
        Its random maps, 200 by default, which cost no pass; kind and shares are not used.

    Returns
    -------
    RegionRemoval

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If fewer than 5 regions have a voxel in the brain.
    """
    test = test or RemovalTest(draws=200)
    mask = brain_mask(brain)
    scan = np.asarray(image, dtype=np.float32)
    values = inside(map_, mask, "The map")
    there = inside(labels, mask, "The atlas").astype(np.int64)
    names, number = np.unique(there, return_inverse=True)
    regions = np.flatnonzero(names > 0)
    if len(regions) < _FEWEST_REGIONS:
        raise InputError(
            f"{len(regions)} regions lie in the brain; at least {_FEWEST_REGIONS} are needed to "
            "rank them."
        )
    other = np.asarray(reference, dtype=np.float32)
    inside(other, mask, "The reference")

    def images() -> Iterator[NDArray[np.float32]]:
        yield scan
        for region in names[regions]:
            yield np.where(mask & (np.asarray(labels) == region), other, scan)

    found = scores_of(score, images())
    lost = found[0] - found[1:]

    def sums(of: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(number, of, minlength=len(names))[regions])

    null = [
        _rank_correlation(lost, sums(drawn))
        for drawn in surrogates(map_, mask, test.draws, test.seed, test.envelope)
    ]
    own = sums(values)
    return RegionRemoval(
        labels=tuple(int(n) for n in names[regions]),
        voxels=tuple(int(n) for n in np.bincount(number)[regions]),
        lost=tuple(float(v) for v in lost),
        sums=tuple(float(v) for v in own),
        spearman=_rank_correlation(lost, own),
        spearman_95=float(np.quantile(null, 0.95, method="higher")),
        draws=test.draws,
    )


def _rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)
