"""Faithfulness by prediction: whether a map foretells what changes of the image do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust.faithfulness.removal import Score, scores_of
from voxplain.trust.fields import gaussian_amplitude, random_fields
from voxplain.trust.ranks import brain_mask, inside
from voxplain.trust.surrogates import Envelope, surrogates
from voxplain.trust.truth.chance import require_draws

__all__ = [
    "Changes",
    "Completeness",
    "Infidelity",
    "completeness",
    "infidelity",
    "make_changes",
]

_BLOB_MM = 20.0
_BLOBS = 0.1
_NOISE = 0.1


@dataclass(frozen=True, eq=False)
class Changes:
    """Random changes of one image, and what they did to its score.

    Scoring them is what costs; every map of the image can then be asked to foretell them.

    Parameters
    ----------
    taken : array (C, V), intensity
        What each change took from the voxels of the brain.
    shares : array (C, V)
        The part of each voxel's distance to the reference that was taken, 0 to 1; NaN where the
        changes are noise.
    lost : array (C,), logit
        What the score lost.
    """

    taken: NDArray[np.float64]
    shares: NDArray[np.float64]
    lost: NDArray[np.float64]


def make_changes(
    score: Score,
    image: ArrayLike,
    brain: ArrayLike,
    grid: Grid,
    seed: int,
    reference: ArrayLike | None = None,
    count: int = 100,
) -> Changes:
    """Change an image at random many times, and score it.

    Parameters
    ----------
    score : callable
        From images, tensor (N, 1, X, Y, Z), to logit margins, tensor (N,).
    image : array (X, Y, Z)
    brain : array (X, Y, Z), bool
    grid : Grid
    seed : int
    reference : array (X, Y, Z), optional
        Blobs of 20 mm in a tenth of the brain are replaced by it. Without it, white noise is
        added inside the brain, of a tenth of the image's standard deviation.
    count : int, default=100

    Returns
    -------
    Changes

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If there are fewer than 10 changes.
    """
    if count < 10:
        raise InputError(f"At least 10 changes are needed; {count} were asked for.")
    mask = brain_mask(brain)
    scan = np.asarray(image, dtype=np.float32)
    values = inside(scan, mask, "The image")
    if mask.shape != grid.shape:
        raise GridError(f"The brain mask has shape {mask.shape}, the grid {grid.shape}.")
    amplitude = gaussian_amplitude(grid, 0 if reference is None else _BLOB_MM)
    fields = (f[mask].astype(np.float64) for f in random_fields(amplitude, count, seed))
    if reference is None:
        scale = _NOISE * float(values.std())
        taken = np.stack([scale * f / f.std() for f in fields])
        shares = np.full(taken.shape, np.nan)
    else:
        away = values - inside(reference, mask, "The reference")
        shares = np.stack([(f > np.quantile(f, 1 - _BLOBS)).astype(np.float64) for f in fields])
        taken = shares * away

    def images() -> Iterator[NDArray[np.float32]]:
        yield scan
        for row in taken:
            changed = scan.copy()
            changed[mask] -= row.astype(np.float32)
            yield changed

    found = scores_of(score, images())
    return Changes(taken, shares, found[0] - found[1:])


@dataclass(frozen=True)
class Infidelity:
    """How far a map is from foretelling changes of the score.

    Parameters
    ----------
    value : float, logit²
        Mean squared error of what the map foretells (Yeh et al. 2019, NeurIPS).
    relative : float
        The same at the map's best scale of 0 or more, over the mean squared change: 0 for a map
        that foretells all, 1 for one that foretells nothing or the opposite.
    scale : float
        That scale.
    relative_05 : float
        5th percentile of `relative` over random maps: a map that knows something stays below.
    changes, draws : int
    """

    value: float
    relative: float
    scale: float
    relative_05: float
    changes: int
    draws: int

    @property
    def above_chance(self) -> bool:
        """Whether the map foretells more than 95 % of random maps do."""
        return self.relative < self.relative_05


def infidelity(
    changes: Changes,
    map_: ArrayLike,
    brain: ArrayLike,
    seed: int,
    additive: bool = False,
    draws: int = 100,
    envelope: Envelope | None = None,
) -> Infidelity:
    """Measure how far a map is from foretelling what changes do to the score.

    Parameters
    ----------
    changes : Changes
        Of the image that the map explains.
    map_ : array (X, Y, Z)
        Signed.
    brain : array (X, Y, Z), bool
    seed : int
    additive : bool, default=False
        Whether a value is its voxel's share of the score (`AttributionMap.additive`), and not the
        score's change per unit of intensity. Such maps foretell changes made with a reference.
    draws : int, default=100
        Random maps; they cost no pass.
    envelope : Envelope, optional

    Returns
    -------
    Infidelity

    Raises
    ------
    InputError
        If an additive map is asked of changes by noise, or the score never changed.
    """
    require_draws(draws)
    mask = brain_mask(brain)
    values = inside(map_, mask, "The map")
    by = changes.shares if additive else changes.taken
    if np.isnan(by).any():
        raise InputError("Shares of a score foretell replacement, not noise; give a reference.")
    power = float(np.mean(changes.lost**2))
    if power == 0:
        raise InputError("No change of the image changed the score: nothing can be foretold.")

    def relative(told: NDArray[np.float64]) -> tuple[float, float]:
        size = float(np.mean(told**2))
        shared = float(np.mean(told * changes.lost))
        scale = max(shared, 0.0) / size if size > 0 else 0.0
        return 1 - scale * shared / power, scale

    own, scale = relative(by @ values)
    null = [relative(by @ drawn)[0] for drawn in surrogates(map_, mask, draws, seed, envelope)]
    return Infidelity(
        value=float(np.mean((by @ values - changes.lost) ** 2)),
        relative=own,
        scale=scale,
        relative_05=float(np.quantile(null, 0.05, method="lower")),
        changes=len(changes.lost),
        draws=draws,
    )


@dataclass(frozen=True)
class Completeness:
    """Whether the shares of a score add up to it.

    Parameters
    ----------
    total : float, logit
        Sum of the map.
    difference : float, logit
        Score of the image minus score of the reference.
    gap : float, logit
        Absolute difference of the two.
    relative : float
        Gap over the absolute difference. Its null level is 1: that of a map of zeros. A map whose
        voxels were shuffled has the same gap, so a small one says nothing of places.
    """

    total: float
    difference: float
    gap: float
    relative: float


def completeness(
    score: Score, image: ArrayLike, map_: ArrayLike, reference: ArrayLike
) -> Completeness:
    """Compare the sum of a map with the difference that it should explain.

    Parameters
    ----------
    score : callable
    image, map_, reference : array (X, Y, Z)
        Summed over the whole box, since methods promise that sum.

    Returns
    -------
    Completeness

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If image and reference score the same.
    """
    scan, other = np.asarray(image, dtype=np.float32), np.asarray(reference, dtype=np.float32)
    if not scan.shape == other.shape == np.shape(map_):
        raise GridError(
            f"Image, reference and map have shapes {scan.shape}, {other.shape} and "
            f"{np.shape(map_)}; bring them to one grid."
        )
    full, empty = scores_of(score, iter([scan, other]))
    difference = float(full - empty)
    if difference == 0:
        raise InputError("Image and reference score the same: there is nothing to explain.")
    total = float(np.sum(map_, dtype=np.float64))
    gap = abs(total - difference)
    return Completeness(total, difference, gap, gap / abs(difference))
