"""What finding a known truth by chance would look like: the null level of a map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.trust.fields import fwhm_of, gaussian_amplitude, random_fields
from voxplain.trust.ranks import brain_mask, inside
from voxplain.trust.truth.localisation import average_precision, truth_inside
from voxplain.volume import smooth

__all__ = [
    "ChanceDraws",
    "ChanceInterval",
    "chance_interval",
    "chance_of",
    "draw_chance",
    "like_fields",
    "require_draws",
]

_FEWEST_DRAWS = 20
_RARER_SIDE = 0.01
_ZERO = 1e-6
_FEWEST_ZEROS, _MOST_ZEROS = 0.5, 0.99


@dataclass(frozen=True)
class ChanceInterval:
    """Average precision of random smooth maps.

    Parameters
    ----------
    median : float
    percentile_95 : float
        A map is better than chance only if its average precision exceeds this.
    fwhm : float, mm
        Smoothness of the random maps.
    draws : int
    one_sided : bool
        Whether the random maps have one side alone, as what was cut at zero has.
    """

    median: float
    percentile_95: float
    fwhm: float
    draws: int
    one_sided: bool = False


def chance_interval(
    truth: ArrayLike, brain: ArrayLike, grid: Grid, fwhm: float, seed: int, draws: int = 200
) -> ChanceInterval:
    """Find what average precision a map reaches by chance.

    A map that knows nothing is seldom at the prevalence exactly: smooth maps have few
    independent places, so some lie on the truth by chance. Random fields, Gaussian white noise
    smoothed to `fwhm` and taken absolute, show how far chance goes. This is the null level of
    signed maps; `chance_of` looks at the map, and knows that of maps that were cut at zero.

    Parameters
    ----------
    truth, brain : array (X, Y, Z), bool
    grid : Grid
    fwhm : float, mm
        Smoothness of the scored map *as a whole*, `fwhm_of` its signed and smoothed values. The
        width handed to `strength` alone is too small for a map that was coarse before, such as
        a Grad-CAM, and would make chance look rarer than it is.
    seed : int
    draws : int, default=200

    Returns
    -------
    ChanceInterval

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the truth is empty inside the brain or covers all of it, if the width is negative, or
        if there are fewer than 20 draws.
    """
    require_draws(draws)
    mask = brain_mask(brain)
    if mask.shape != grid.shape:
        raise GridError(f"The brain mask has shape {mask.shape}, its grid {grid.shape}.")
    inner = truth_inside(truth, mask)
    fields = random_fields(gaussian_amplitude(grid, fwhm), draws, seed)
    found = [average_precision(inner, np.abs(field[mask])) for field in fields]
    return _interval(found, fwhm)


def chance_of(
    values: ArrayLike,
    truth: ArrayLike,
    brain: ArrayLike,
    grid: Grid,
    fwhm: float,
    seed: int,
    draws: int = 200,
) -> ChanceInterval:
    """Find what average precision random maps reach by chance that are like a given one.

    They are as smooth as the map is once it is smoothed. Where the map has both signs, this is
    `chance_interval`. A map that was cut at zero, as Grad-CAM is, or taken absolute, reaches more
    than its smoothness tells: it has fewer peaks, and its cuts make it look rougher than the field
    that was cut. It is held to random fields that are cut at zero and then smoothed as it is.

    The map itself decides, whatever its method: it is one-sided where values of the rarer sign make
    up less than a hundredth of its absolute sum inside the brain. Random fields are cut so that as
    large a share of the brain is zero as in the map, half of it at least. For absolute values and
    for means of many maps, which have no zeros, this half errs on the side of a higher level.

    Parameters
    ----------
    values : array (X, Y, Z)
        The raw map, neither smoothed nor taken absolute; a mean over subjects where that is scored.
    truth, brain, grid, seed, draws
        See `chance_interval`.
    fwhm : float, mm
        By which the map is smoothed before it is scored, see `strength`.

    Returns
    -------
    ChanceInterval

    Raises
    ------
    GridError, InputError
        As `chance_interval` does, and if the map is not on the grid or not finite.
    """
    require_draws(draws)
    drawn = draw_chance(values, truth, brain, grid, fwhm, seed, draws)
    return _interval(drawn.found, drawn.fwhm, drawn.one_sided)


class ChanceDraws(NamedTuple):
    """Average precision of random maps that are like a given one.

    Parameters
    ----------
    found : list of float
    fwhm : float, mm
        Smoothness of the given map.
    one_sided : bool
    """

    found: list[float]
    fwhm: float
    one_sided: bool


def draw_chance(
    values: ArrayLike,
    truth: ArrayLike,
    brain: ArrayLike,
    grid: Grid,
    fwhm: float,
    seed: int,
    draws: int,
) -> ChanceDraws:
    """Draw random maps that are like a given one, and score them; see `chance_of`."""
    mask = brain_mask(brain)
    inner = truth_inside(truth, mask)
    like, fields = like_fields(values, mask, grid, fwhm, seed, draws)
    return ChanceDraws([average_precision(inner, field) for field in fields], *like)


def like_fields(
    values: ArrayLike,
    mask: NDArray[np.bool_],
    grid: Grid,
    fwhm: float,
    seed: int,
    draws: int,
) -> tuple[tuple[float, bool], Iterator[NDArray[np.floating]]]:
    """Draw random maps that are like a given one, as they are scored; see `chance_of`.

    Returns
    -------
    like : tuple of (float, bool)
        Smoothness of the given map, mm, and whether it is one-sided.
    fields : iterator of array (V,)
        Inside the mask.
    """
    raw = inside(values, mask, "The map")
    width = fwhm_of(smooth(values, grid, fwhm), grid, mask)
    if not _one_sided(raw):
        drawn = random_fields(gaussian_amplitude(grid, width), draws, seed)
        return (width, False), (np.abs(field[mask]) for field in drawn)
    zeros = float(np.mean(np.abs(raw) <= _ZERO * np.abs(raw).max()))
    share = min(max(zeros, _FEWEST_ZEROS), _MOST_ZEROS)
    underlying = float(np.sqrt(max(width**2 - fwhm**2, 0))) / _narrowing(share)

    def cut(field: NDArray[np.floating]) -> NDArray[np.floating]:
        above = np.maximum(field - np.quantile(field[mask], share), 0)
        return smooth(above, grid, fwhm)[mask]

    drawn = random_fields(gaussian_amplitude(grid, underlying), draws, seed)
    return (width, True), (cut(field) for field in drawn)


def _one_sided(values: NDArray[np.float64]) -> bool:
    above, below = values.clip(min=0).sum(), -values.clip(max=0).sum()
    return bool(min(above, below) < _RARER_SIDE * (above + below))


def _narrowing(share: float) -> float:
    """Tell how much narrower a Gaussian field looks once a share of it is cut to zero.

    The squared width that `fwhm_of` finds is as the variance over that of the gradient; the cut
    takes its share from both. ``sqrt(1 - 1 / pi)``, .83, for a cut at the mean.
    """
    cut, above = float(norm.ppf(share)), 1 - share
    density = float(norm.pdf(cut))
    mean = density - cut * above
    variance = (1 + cut**2) * above - cut * density - mean**2
    return float(np.sqrt(variance / above))


def _interval(found: Sequence[float], fwhm: float, one_sided: bool = False) -> ChanceInterval:
    return ChanceInterval(
        median=float(np.median(found)),
        percentile_95=float(np.quantile(found, 0.95, method="higher")),
        fwhm=float(fwhm),
        draws=len(found),
        one_sided=one_sided,
    )


def require_draws(draws: int) -> None:
    """Refuse a null distribution too small for its 95th percentile.

    Raises
    ------
    InputError
        If there are fewer than 20 draws.
    """
    if draws < _FEWEST_DRAWS:
        raise InputError(
            f"A 95th percentile needs at least {_FEWEST_DRAWS} draws; {draws} was given."
        )
