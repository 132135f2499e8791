"""Random maps that share with a given one its smoothness and, where asked, its envelope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.stats import rankdata

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust.fields import amplitude_of, random_fields
from voxplain.trust.ranks import brain_mask, inside

__all__ = ["Envelope", "Fitter", "drawn_like", "surrogates"]

_ROUNDS = 30
_STEP = 5.0
_CLOSE = 0.01
_RANGE = 10.0
_TURNS = 2
_KNOTS = 4


@dataclass(frozen=True, eq=False)
class Envelope:
    """What maps may share without sharing any finding: where they are strong for other reasons.

    Two maps of noise agree if both are noise times the same image, or both are strong in the
    middle of the brain. An envelope is the mean and the spread of a map as functions of the depth
    below the brain's surface, of images that are given, and of the place, told to `width`.
    What is finer than that is taken for the map's own.

    Parameters
    ----------
    grid : Grid
    images : tuple of array (X, Y, Z), default=()
        What both maps may have been multiplied by or drawn from: the scan that they explain, the
        mean scan of a cohort for its mean maps, an edge filter of it.
    width : float, mm, default=60.0
        Half length of the shortest wave that follows the place. A region of this size that two
        maps share counts as envelope: the smaller, the fewer false agreements, and the fewer true
        ones.

    Raises
    ------
    GridError
        If an image is not on the grid.
    InputError
        If the width is not above 0.
    """

    grid: Grid
    images: tuple[NDArray[np.float32], ...] = ()
    width: float = 60.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.width) and self.width > 0):
            raise InputError(f"The width of an envelope must be above 0 mm; it is {self.width}.")
        for image in self.images:
            if np.shape(image) != self.grid.shape:
                raise GridError(
                    f"An image of the envelope has shape {np.shape(image)}, its grid "
                    f"{self.grid.shape}; resample one of them first."
                )

    def on(self, mask: NDArray[np.bool_]) -> Fitter:
        """Make ready to find the envelopes of maps inside a brain.

        Parameters
        ----------
        mask : array (X, Y, Z), bool

        Returns
        -------
        Fitter

        Raises
        ------
        GridError
            If the mask is not on the grid.
        """
        if mask.shape != self.grid.shape:
            raise GridError(f"The brain mask has shape {mask.shape}, the grid {self.grid.shape}.")
        depth = distance_transform_edt(np.pad(mask, 1), sampling=self.grid.voxel_size)
        lines = [depth[1:-1, 1:-1, 1:-1][mask]]
        lines += [inside(image, mask, "An image of the envelope") for image in self.images]
        columns = [*_waves(mask, self.grid, self.width), *(_bends(line) for line in lines)]
        basis, upper = np.linalg.qr(np.concatenate(columns, axis=1))
        kept = np.abs(np.diag(upper)) > 1e-6 * np.sqrt(len(basis))
        return Fitter(np.asarray(basis[:, kept]))


@dataclass(frozen=True, eq=False)
class Fitter:
    """A basis of places and covariates, on which mean and spread of maps are regressed.

    Parameters
    ----------
    basis : array (V, terms)
        Orthonormal; the constant lies in its span.
    """

    basis: NDArray[np.float64]

    def fit(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find the mean and the spread that a map is expected to have at each voxel.

        The spread is the expected absolute distance from the mean, by a generalised linear model
        with a logarithmic link, whose variance grows with the square of the mean (McCullagh and
        Nelder 1989, *Generalized Linear Models*, chapter 8). The mean is 0 where no value is
        negative, and found by weighted least squares where some are.

        Parameters
        ----------
        values : array (V,)

        Returns
        -------
        mean, spread : array (V,), in the unit of the map
        """
        mean = np.zeros(len(values))
        spread = self._expected(np.abs(values))
        if values.min() >= 0 or not spread.any():
            return mean, spread
        for _ in range(_TURNS):
            weighted = self.basis / np.square(spread)[:, None]
            mean = self.basis @ np.linalg.solve(weighted.T @ self.basis, weighted.T @ values)
            spread = self._expected(np.abs(values - mean))
            if not spread.any():
                break
        return mean, spread

    def _expected(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        if not sizes.max() > 0:
            return np.zeros(len(sizes))
        logarithm = np.full(len(sizes), np.log(sizes.mean()))
        for _ in range(_ROUNDS):
            surplus = np.clip(sizes * np.exp(-logarithm) - 1, None, _STEP)
            step = self.basis @ (self.basis.T @ surplus)
            logarithm += step
            if np.abs(step).max() < _CLOSE:
                break
        return np.asarray(np.exp(np.maximum(logarithm, logarithm.max() - _RANGE)))


def _bends(covariate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Write a covariate and its bends at the quantiles, array (V, knots + 1)."""
    scaled = (covariate - covariate.mean()) / (covariate.std() or 1.0)
    knots = np.unique(np.quantile(scaled, np.linspace(0, 1, _KNOTS + 2)[1:-1]))
    return np.stack([scaled, *(np.maximum(scaled - knot, 0) for knot in knots)], axis=1)


def _waves(mask: NDArray[np.bool_], grid: Grid, width: float) -> list[NDArray[np.float64]]:
    """Write the cosines over the brain's box whose half waves are as long as the width, or more."""
    place = np.argwhere(mask) - np.argwhere(mask).min(axis=0)
    extent = place.max(axis=0) + 1
    most = extent * grid.voxel_size / width
    axes = [range(int(n) + 1) for n in most]
    waves = [k for k in product(*axes) if sum((k / most) ** 2) <= 1]
    angle = np.pi * (place + 0.5) / extent
    return [np.cos(angle * wave).prod(axis=1)[:, None] for wave in waves]


def surrogates(
    values: ArrayLike, brain: ArrayLike, draws: int, seed: int, envelope: Envelope | None = None
) -> Iterator[NDArray[np.float64]]:
    """Draw random maps like a given one: the same values, as smooth, with peaks elsewhere.

    A Gaussian field with the power spectrum of the map's ranks inside the brain (Theiler et al.
    1992, *Physica D* 58:77) is given the map's own values in the order of its ranks. With an
    envelope, both steps are taken by what the map is beyond it, in units of its spread, and the
    envelope is put back.

    Parameters
    ----------
    values : array (X, Y, Z)
    brain : array (X, Y, Z), bool
    draws : int
    seed : int
    envelope : Envelope, optional
        None for random maps that are alike all over the brain.

    Yields
    ------
    array (V,), float64, in the unit of the map
        One value for each of the V voxels of the brain.

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the mask is not boolean or is empty, or the map is not finite inside the brain.
    """
    mask = brain_mask(brain)
    fitter = None if envelope is None else envelope.on(mask)
    return drawn_like(inside(values, mask, "The map"), mask, draws, seed, fitter)


def drawn_like(
    values: NDArray[np.float64],
    mask: NDArray[np.bool_],
    draws: int,
    seed: int,
    fitter: Fitter | None,
) -> Iterator[NDArray[np.float64]]:
    """Draw `surrogates` of values inside the brain, array (V,)."""
    mean, spread = np.zeros(len(values)), np.ones(len(values))
    if fitter is not None:
        mean, spread = fitter.fit(values)
    beyond = (values - mean) / np.where(spread > 0, spread, 1)
    ordered, lowest = np.sort(beyond), values.min()
    ranks = rankdata(beyond) - (len(beyond) + 1) / 2
    for field in random_fields(amplitude_of(ranks, mask), draws, seed):
        drawn = np.empty(len(values))
        drawn[np.argsort(field[mask], kind="stable")] = ordered
        # No map made of absolute values, or cut at zero, has a surrogate below its own floor.
        yield np.maximum(mean + spread * drawn, lowest)
