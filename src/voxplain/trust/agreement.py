"""How far two maps agree, and how far two maps that share nothing but smoothness would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from voxplain.trust.fields import amplitude_of, random_fields
from voxplain.trust.ranks import brain_mask, inside, top_count, top_membership
from voxplain.trust.spread import product_spread
from voxplain.trust.surrogates import Envelope, drawn_like
from voxplain.trust.truth.chance import require_draws

__all__ = ["Agreement", "agreement", "dice_top", "spearman"]

_DECIMALS = 12
_KEPT = 6
_REFITTED = 3


@dataclass(frozen=True)
class Agreement:
    """Two measures of agreement, each beside its chance level.

    Parameters
    ----------
    fraction : float
        Share of the brain that counts as a map's top.
    dice : float
        True Dice of the two tops.
    dice_chance : float
        Its expectation for unrelated maps: the tops' share of the brain.
    dice_surrogates : float
        Its mean over the surrogates; close to `dice_chance` where the surrogates are sound.
    dice_95 : float
        95th percentile for unrelated maps as smooth; agreement is above chance only beyond it.
    spearman : float
        Rank correlation inside the brain.
    spearman_95 : float
        95th percentile for unrelated maps as smooth.
    draws : int
    spearman_surrogates : float
        Its mean over the surrogates: 0 unless maps may share an envelope.
    enveloped : bool
        Whether the unrelated maps share the envelope of the second map, so that `dice_surrogates`
        takes the place of `dice_chance`.
    """

    fraction: float
    dice: float
    dice_chance: float
    dice_surrogates: float
    dice_95: float
    spearman: float
    spearman_95: float
    draws: int
    spearman_surrogates: float = 0.0
    enveloped: bool = False

    @property
    def above_chance(self) -> bool:
        """Whether both measures exceed their 95th percentiles."""
        return self.dice > self.dice_95 and self.spearman > self.spearman_95


def dice_top(a: ArrayLike, b: ArrayLike, brain: ArrayLike, fraction: float) -> float:
    """Overlap of the top voxels of two maps, at matched size, inside the brain.

    Dice is twice the number of common voxels over the sum of the two sizes; what both maps leave
    out never counts. Ties at the cut are drawn by lot, independently for the two maps, and the
    expectation over the lots is returned. So a constant map agrees with any map, itself
    included, at chance, and two maps never agree by the order of their voxels.

    Parameters
    ----------
    a, b : array (X, Y, Z)
        Higher means more evidence.
    brain : array (X, Y, Z), bool
    fraction : float
        Share of the brain's voxels that is a map's top, above 0 and below 1; at least one voxel.

    Returns
    -------
    float
        From 0 for disjoint tops to 1 for the same; `fraction` on average for unrelated maps.

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the fraction is out of range, the mask is not boolean or is empty, or a map is not
        finite inside the brain.
    """
    mask = brain_mask(brain)
    count = top_count(mask, fraction)
    top_a = top_membership(inside(a, mask, "The first map"), count)
    top_b = top_membership(inside(b, mask, "The second map"), count)
    return _overlap(top_a, top_b, count)


def spearman(a: ArrayLike, b: ArrayLike, brain: ArrayLike) -> float:
    """Rank correlation of two maps inside the brain; ties take their mean rank.

    Parameters
    ----------
    a, b : array (X, Y, Z)
    brain : array (X, Y, Z), bool

    Returns
    -------
    float
        From -1 to 1; 0 where a map is constant.

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the mask is not boolean or is empty, or a map is not finite inside the brain.
    """
    mask = brain_mask(brain)
    first, second = inside(a, mask, "The first map"), inside(b, mask, "The second map")
    return _inner(_unit_ranks(first), _unit_ranks(second))


def agreement(
    a: ArrayLike,
    b: ArrayLike,
    brain: ArrayLike,
    fraction: float,
    seed: int,
    draws: int = 200,
    envelope: Envelope | None = None,
) -> Agreement:
    """Compare two maps, and the first with random maps as smooth as the second.

    Smooth maps overlap by chance far more often than independent voxels would, so the null keeps
    the smoothness. Each surrogate is a Gaussian random field with the power spectrum of the
    ranks of `b` inside the brain: the spectrum of the map is kept, its phases, that is the places
    of its peaks, are not (the idea of Theiler et al. 1992, *Physica D* 58:77). Shifting or
    flipping `b` inside the box instead would carry background into the brain, and allows few
    independent shifts of a smooth map.

    The surrogates give the null its shape. Its spread comes from the autocorrelation of both
    maps (Clifford, Richardson and Hémon 1989, *Biometrics* 45:123): the peaks of an absolute
    value clump more than those of a Gaussian field with the same spectrum, and surrogates alone
    let 8 to 11 % of unrelated absolute maps pass for related by their Dice.

    Without `envelope` the null is stationary: it does not know that two maps may agree because
    both are, say, stronger in the cortex. Exceeding it shows that the maps share something, not
    what: two maps of noise that were multiplied by one scan exceed it nearly always. With an
    envelope, surrogates are strong where `b` is strong for reasons that the envelope names, and
    exceeding them shows that the maps share peaks beyond it.

    Parameters
    ----------
    a, b : array (X, Y, Z)
        Higher means more evidence: two scores made by `strength`, or two signed maps.
    brain : array (X, Y, Z), bool
    fraction : float
        Share of the brain that is a map's top, above 0 and below 1.
    seed : int
    draws : int, default=200
    envelope : Envelope, optional
        What the maps may share without agreeing.

    Returns
    -------
    Agreement

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the fraction is out of range, there are fewer than 20 draws, the mask is not boolean
        or is empty, or a map is not finite inside the brain.
    """
    require_draws(draws)
    mask = brain_mask(brain)
    count = top_count(mask, fraction)
    first, second = inside(a, mask, "The first map"), inside(b, mask, "The second map")
    chance = round(count / len(first), _DECIMALS)
    ranks_a, ranks_b = _unit_ranks(first), _unit_ranks(second)
    top_a, top_b = top_membership(first, count), top_membership(second, count)
    spread = product_spread(mask)
    if envelope is not None:
        fitter = envelope.on(mask)
        tops, ranks = _Null(top_a, top_b), _Null(ranks_a, ranks_b)
        for number, values in enumerate(drawn_like(second, mask, draws, seed, fitter)):
            tops.add(top_membership(values, count))
            ranks.add(_unit_ranks(values))
            if number % _REFITTED == 0:
                (again,) = drawn_like(values, mask, 1, seed + number + 1, fitter)
                tops.add_refitted(top_membership(again, count))
                ranks.add_refitted(_unit_ranks(again))
        return Agreement(
            fraction=float(fraction),
            dice=_overlap(top_a, top_b, count),
            dice_chance=chance,
            dice_surrogates=tops.mean / count,
            dice_95=round(tops.limit(spread) / count, _DECIMALS),
            spearman=_inner(ranks_a, ranks_b),
            spearman_95=ranks.limit(spread),
            draws=draws,
            spearman_surrogates=ranks.mean,
            enveloped=True,
        )
    dices, spearmans = np.empty(draws), np.empty(draws)
    for i, field in enumerate(random_fields(amplitude_of(ranks_b, mask), draws, seed)):
        drawn = field[mask].astype(np.float64)
        dices[i] = _overlap(top_a, top_membership(drawn, count), count)
        # A Gaussian field's values stand for its ranks: only the shape of this null is used.
        spearmans[i] = _inner(ranks_a, _unit(drawn))
    spread_dice = spread(top_a - top_a.mean(), top_b - top_b.mean()) / count
    return Agreement(
        fraction=float(fraction),
        dice=_overlap(top_a, top_b, count),
        dice_chance=chance,
        dice_surrogates=float(dices.mean()),
        dice_95=round(chance + _quantile_95(dices) * spread_dice, _DECIMALS),
        spearman=_inner(ranks_a, ranks_b),
        spearman_95=_quantile_95(spearmans) * spread(ranks_a, ranks_b),
        draws=draws,
    )


class _Null:
    """Inner products of a first map's vector with those of surrogates of a second map's.

    Surrogates of surrogates, each with an envelope found anew, show by how much a found envelope
    falls short of the true one, and the mean is put right by as much (Hall 1992, *The Bootstrap and
    Edgeworth Expansion*, section 1.4). The spread is brought to that of the second map by the ratio
    of those that the autocorrelations foretell: real peaks clump more.
    """

    def __init__(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        self._first, self._second = first, second
        self._total = np.zeros(len(first))
        self._kept: list[NDArray[np.float64]] = []
        self._products: list[float] = []
        self._refitted: list[float] = []

    def add(self, drawn: NDArray[np.float64]) -> None:
        self._products.append(_inner(self._first, drawn))
        self._total += drawn
        if len(self._kept) < _KEPT:
            self._kept.append(drawn)

    def add_refitted(self, drawn: NDArray[np.float64]) -> None:
        self._refitted.append(_inner(self._first, drawn))

    @property
    def mean(self) -> float:
        return 2 * float(np.mean(self._products)) - float(np.mean(self._refitted))

    def limit(self, spread: Callable[[NDArray[np.float64], NDArray[np.float64]], float]) -> float:
        found, expected = np.asarray(self._products), self._total / len(self._products)
        theirs = float(np.mean([spread(self._first, drawn - expected) for drawn in self._kept]))
        own = spread(self._first, self._second - expected)
        clumping = own / theirs if theirs > 0 else 1.0
        return self.mean + _quantile_95(found) * float(found.std()) * clumping


def _overlap(top_a: NDArray[np.float64], top_b: NDArray[np.float64], count: int) -> float:
    """Give the expected Dice, rounded so that chance cannot exceed itself in the last digit."""
    return round(_inner(top_a, top_b) / count, _DECIMALS)


def _inner(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    # Not a matrix product: BLAS would start its threads for each of hundreds of short sums, which
    # takes several times as long when another process has the cores.
    return float(np.sum(a * b))


def _unit_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks with mean 0 and length 1, so that their inner product is Spearman's correlation."""
    return _unit(rankdata(values))


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean()
    length = float(np.sqrt(_inner(centred, centred)))
    unit: NDArray[np.float64] = centred / length if length > 0 else centred
    return unit


def _quantile_95(surrogates: NDArray[np.float64]) -> float:
    """95th percentile in standard deviations from the mean, 0 where nothing varies."""
    spread = float(surrogates.std())
    if spread == 0:
        return 0.0
    upper = float(np.quantile(surrogates, 0.95, method="higher"))
    return (upper - float(surrogates.mean())) / spread
