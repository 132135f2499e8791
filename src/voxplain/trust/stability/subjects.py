"""Stability over subjects and sessions: halves of a cohort, and scans made twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from voxplain.errors import InputError
from voxplain.trust.comparison import Comparison
from voxplain.trust.ranks import brain_mask, inside, top_count, top_membership

__all__ = ["Retest", "SplitHalf", "retest", "split_half"]


@dataclass(frozen=True)
class SplitHalf:
    """How alike the mean maps of two halves of the subjects are.

    Parameters
    ----------
    splits : int
    dice, spearman : float
        Means over splits.
    spearman_whole : float
        What the rank correlation would be of means over all subjects, by Spearman and Brown's
        formula.
    dice_95, spearman_95 : float
        Means over splits of the 95th percentile of random maps like the second half's: a little
        too high for a mean over splits.
    """

    splits: int
    dice: float
    spearman: float
    spearman_whole: float
    dice_95: float
    spearman_95: float

    @property
    def above_chance(self) -> bool:
        """Whether the halves are alike beyond chance."""
        return self.dice > self.dice_95 and self.spearman > self.spearman_95


def split_half(maps: Sequence[ArrayLike], how: Comparison, splits: int = 10) -> SplitHalf:
    """Divide subjects into halves at random, and compare the halves' mean maps.

    Parameters
    ----------
    maps : sequence of array (X, Y, Z)
        One for each subject, on one grid; four or more. Where maps of several networks are given,
        both halves share the networks, and what is told is stability over subjects alone.
    how : Comparison
    splits : int, default=10

    Returns
    -------
    SplitHalf

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If there are fewer than four maps.
    """
    if len(maps) < 4:
        raise InputError(f"Halves need four subjects or more; {len(maps)} were given.")
    mask = brain_mask(how.brain)
    values = np.stack([inside(m, mask, f"Map {n}") for n, m in enumerate(maps, 1)])
    rng = np.random.default_rng(how.seed)
    found = []
    for _ in range(splits):
        order = rng.permutation(len(values))
        halves = np.zeros((2, *mask.shape))
        for half, part in zip(halves, np.array_split(order, 2), strict=True):
            half[mask] = values[part].mean(axis=0)
        found.append(how.of(*halves))
    rank = float(np.mean([a.spearman for a in found]))
    return SplitHalf(
        splits=splits,
        dice=float(np.mean([a.dice for a in found])),
        spearman=rank,
        spearman_whole=2 * rank / (1 + rank) if rank > -1 else -1.0,
        dice_95=float(np.mean([a.dice_95 for a in found])),
        spearman_95=float(np.mean([a.spearman_95 for a in found])),
    )


@dataclass(frozen=True)
class Retest:
    """How alike maps of two sessions are, of one subject and of different ones.

    Parameters
    ----------
    subjects : int
    dice, spearman : float
        Mean over subjects, of their two maps.
    dice_others, spearman_others : float
        Mean over pairs of different subjects: the null level, what all brains share.
    identified : float
        Share of subjects whose second map is the most alike, by rank, to their first.
    p : float
        Share of random assignments of second to first maps, this one among them, whose mean rank
        correlation is as high.
    """

    subjects: int
    dice: float
    spearman: float
    dice_others: float
    spearman_others: float
    identified: float
    p: float

    @property
    def identified_chance(self) -> float:
        """Share of subjects that would be identified by lot."""
        return 1 / self.subjects


def retest(first: Sequence[ArrayLike], second: Sequence[ArrayLike], how: Comparison) -> Retest:
    """Compare the maps of subjects who were scanned twice.

    Parameters
    ----------
    first, second : sequence of array (X, Y, Z)
        One for each subject, in the same order, on one grid; three subjects or more.
    how : Comparison
        Its draws are random assignments.

    Returns
    -------
    Retest

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the numbers differ, or there are fewer than three subjects.
    """
    if len(first) != len(second) or len(first) < 3:
        raise InputError(
            f"Two sessions of three subjects or more are needed; {len(first)} and {len(second)} "
            "maps were given."
        )
    mask = brain_mask(how.brain)
    count = top_count(mask, how.fraction)
    ranks, tops = [], []
    for maps in (first, second):
        values = [inside(m, mask, f"Map {n}") for n, m in enumerate(maps, 1)]
        tops.append(np.stack([top_membership(row, count) for row in values]))
        centred = np.stack([rankdata(row) for row in values]) - (len(values[0]) + 1) / 2
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        ranks.append(centred / np.where(length > 0, length, 1))
    rank, dice = ranks[0] @ ranks[1].T, tops[0] @ tops[1].T / count
    n = len(rank)
    others = ~np.eye(n, dtype=bool)
    rng = np.random.default_rng(how.seed)
    own = float(np.trace(rank)) / n
    drawn = [float(rank[np.arange(n), rng.permutation(n)].mean()) for _ in range(how.draws)]
    return Retest(
        subjects=n,
        dice=float(np.trace(dice)) / n,
        spearman=own,
        dice_others=float(dice[others].mean()),
        spearman_others=float(rank[others].mean()),
        identified=float(np.mean(rank.argmax(axis=1) == np.arange(n))),
        p=(1 + sum(value >= own - 1e-12 for value in drawn)) / (1 + how.draws),
    )
