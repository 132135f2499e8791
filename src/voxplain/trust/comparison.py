"""Maps of networks that were trained otherwise, or not at all, set beside the map in question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import InputError
from voxplain.trust.agreement import Agreement, agreement, dice_top, spearman
from voxplain.trust.ranks import brain_mask, inside
from voxplain.trust.surrogates import Envelope

__all__ = [
    "Comparison",
    "Invariance",
    "PairExcess",
    "Rivals",
    "against_pairs",
    "against_trainings",
    "encoding_invariance",
    "inverted",
]


@dataclass(frozen=True, eq=False)
class Comparison:
    """How maps are compared inside the brain; see `agreement`.

    Parameters
    ----------
    brain : array (X, Y, Z), bool
    fraction : float, default=0.05
        Share of the brain that is a map's top.
    seed : int, default=0
    draws : int, default=100
    envelope : Envelope, optional
        What maps may share without agreeing. Give one with the scan in it: nearly all methods
        multiply by the scan, or follow it.
    """

    brain: NDArray[np.bool_]
    fraction: float = 0.05
    seed: int = 0
    draws: int = 100
    envelope: Envelope | None = None

    def of(self, a: ArrayLike, b: ArrayLike) -> Agreement:
        """Compare two maps, array (X, Y, Z); see `agreement`."""
        return agreement(a, b, self.brain, self.fraction, self.seed, self.draws, self.envelope)


@dataclass(frozen=True)
class Rivals:
    """A map beside those of networks that cannot know what it is said to show.

    Parameters
    ----------
    agreements : tuple of Agreement
        With each of them.
    above : float
        Share of them with which it agrees beyond chance: about .05 or less where it shows what
        was learned, 1 where it shows what any network shows.
    """

    agreements: tuple[Agreement, ...]
    above: float


def against_trainings(map_: ArrayLike, others: Sequence[ArrayLike], how: Comparison) -> Rivals:
    """Compare a map with those of networks trained on permuted labels, or not trained.

    A map that agrees with them shows the anatomy or the architecture (Adebayo et al. 2018,
    NeurIPS, section 4).

    Parameters
    ----------
    map_ : array (X, Y, Z)
    others : sequence of array (X, Y, Z)
        Of the same scan, by the same method.
    how : Comparison

    Returns
    -------
    Rivals

    Raises
    ------
    InputError
        If there is no other map.
    """
    if not others:
        raise InputError("No map of another training was given: there is nothing to compare with.")
    found = tuple(how.of(map_, other) for other in others)
    return Rivals(found, float(np.mean([one.above_chance for one in found])))


@dataclass(frozen=True)
class PairExcess:
    """Agreement of two methods beside that of the same two on networks that know nothing.

    Parameters
    ----------
    dice, spearman : float
    dice_others, spearman_others : float
        Median over the other networks.
    dice_p, spearman_p : float
        Share of the networks, this one among them, on which the methods agree as much: at best
        one over their number.
    """

    dice: float
    spearman: float
    dice_others: float
    spearman_others: float
    dice_p: float
    spearman_p: float


def against_pairs(
    a: ArrayLike, b: ArrayLike, others: Sequence[tuple[ArrayLike, ArrayLike]], how: Comparison
) -> PairExcess:
    """Ask whether two methods agree more on this network than on networks that know nothing.

    Two methods that both follow the scan agree on any network. No random map is needed.

    Parameters
    ----------
    a, b : array (X, Y, Z)
        Maps of one scan by two methods.
    others : sequence of (array (X, Y, Z), array (X, Y, Z))
        Those of untrained networks; 19 for a p of .05.
    how : Comparison
        Its brain and fraction.

    Returns
    -------
    PairExcess

    Raises
    ------
    InputError
        If there is no other pair.
    """
    if not others:
        raise InputError("No pair of maps of another network was given to compare with.")
    pairs = [(a, b), *others]
    dices = np.array([dice_top(x, y, how.brain, how.fraction) for x, y in pairs])
    ranks = np.array([spearman(x, y, how.brain) for x, y in pairs])
    return PairExcess(
        dice=float(dices[0]),
        spearman=float(ranks[0]),
        dice_others=float(np.median(dices[1:])),
        spearman_others=float(np.median(ranks[1:])),
        dice_p=float(np.mean(dices >= dices[0])),
        spearman_p=float(np.mean(ranks >= ranks[0])),
    )


@dataclass(frozen=True)
class Invariance:
    """Whether a map stays the same when the same brains are written down inverted.

    Parameters
    ----------
    agreement : Agreement
        Of the map with that of a network trained on inverted scans.
    ceiling : Agreement or None
        With that of a second training on scans as they are: no more can be asked.
    """

    agreement: Agreement
    ceiling: Agreement | None

    @property
    def kept(self) -> float | None:
        """Share of the ceiling's rank correlation beyond chance that inverting left.

        None where there is no ceiling, or where two trainings alike do not agree either.
        """
        if self.ceiling is None:
            return None
        room = self.ceiling.spearman - self.ceiling.spearman_surrogates
        if self.ceiling.spearman <= self.ceiling.spearman_95 or room <= 0:
            return None
        return (self.agreement.spearman - self.agreement.spearman_surrogates) / room


def inverted(values: ArrayLike, brain: ArrayLike, level: float) -> NDArray[np.float32]:
    """Write a scan down inverted: the level minus the intensity inside the brain, 0 around it.

    Parameters
    ----------
    values : array (X, Y, Z)
    brain : array (X, Y, Z), bool
    level : float, intensity
        The same for all scans of a cohort.

    Returns
    -------
    array (X, Y, Z), float32
    """
    mask = brain_mask(brain)
    out = np.zeros(mask.shape, dtype=np.float32)
    out[mask] = level - inside(values, mask, "The scan")
    return out


def encoding_invariance(
    map_: ArrayLike, of_inverted: ArrayLike, how: Comparison, again: ArrayLike | None = None
) -> Invariance:
    """Compare a map with that of a network trained on inverted scans.

    The two trainings know the same: an intensity and its inverse carry the same information. A map
    that changes shows how the scans were encoded (Clark et al. 2026, arXiv 2602.09238).

    Parameters
    ----------
    map_ : array (X, Y, Z)
        Its strength; the sign of a gradient turns when intensities are inverted.
    of_inverted : array (X, Y, Z)
        That of the network trained on scans made by `inverted`, of the same scan inverted.
    how : Comparison
    again : array (X, Y, Z), optional
        That of a second training on the scans as they are, from another seed.

    Returns
    -------
    Invariance
    """
    ceiling = None if again is None else how.of(map_, again)
    return Invariance(how.of(map_, of_inverted), ceiling)
