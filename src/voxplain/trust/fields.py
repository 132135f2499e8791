"""Random smooth fields: what a map looks like that knows nothing, at a stated smoothness."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.trust.ranks import brain_mask, inside

__all__ = ["amplitude_of", "fwhm_of", "gaussian_amplitude", "random_fields"]

_FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))


def fwhm_of(values: ArrayLike, grid: Grid, brain: ArrayLike) -> float:
    """Estimate how smooth a map is inside the brain.

    The correlation of next neighbours along each axis is turned into the width of the Gaussian
    that would give it to white noise (Forman et al. 1995, *Magn Reson Med* 33:636), and the
    three widths into their geometric mean. A map's smoothness has two sources, the method (a
    Grad-CAM is upsampled from a coarse layer) and the smoothing applied afterwards; this
    measures both together, and that is what `chance_interval` needs.

    Parameters
    ----------
    values : array (X, Y, Z)
        The signed map, smoothed as it will be scored, before the absolute value is taken.
    grid : Grid
    brain : array (X, Y, Z), bool

    Returns
    -------
    float, mm
        Full width at half maximum; 0 for a map without correlation between neighbours or
        without variation.

    Raises
    ------
    GridError
        If the shapes differ.
    InputError
        If the mask is not boolean or is empty, or the map is not finite inside it.
    """
    mask = brain_mask(brain)
    taken = inside(values, mask, "The map")
    variance = float(taken.var())
    if variance == 0:
        return 0.0
    placed = np.zeros(mask.shape)
    placed[mask] = taken
    widths = []
    for axis, size in enumerate(grid.voxel_size):
        along, within = np.moveaxis(placed, axis, 0), np.moveaxis(mask, axis, 0)
        pairs = within[1:] & within[:-1]
        if pairs.any():
            steps = (along[1:] - along[:-1])[pairs]
            widths.append(_width(1 - float(np.mean(steps**2)) / (2 * variance), size))
    if not widths or min(widths) == 0:
        return 0.0
    return float(np.exp(np.mean(np.log(widths))))


def gaussian_amplitude(grid: Grid, fwhm: float) -> NDArray[np.float32]:
    """Return the spectral amplitude of white noise smoothed by a Gaussian.

    Parameters
    ----------
    grid : Grid
    fwhm : float, mm
        Full width at half maximum; 0 for white noise.

    Returns
    -------
    array (X, Y, Z), float32

    Raises
    ------
    InputError
        If the width is negative or not finite.
    """
    if not np.isfinite(fwhm) or fwhm < 0:
        raise InputError(f"A width must be a finite number of mm, 0 or more; {fwhm} was given.")
    sigma = fwhm / _FWHM_PER_SIGMA
    out = np.ones(grid.shape, dtype=np.float32)
    for axis, (n, size) in enumerate(zip(grid.shape, grid.voxel_size, strict=True)):
        line = np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(n, d=size)) ** 2)
        out *= line.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    return out


def amplitude_of(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the spectral amplitude of a map inside the brain.

    Parameters
    ----------
    values : array (V,)
        Of the voxels of the mask, with mean 0; around them is 0.
    mask : array (X, Y, Z), bool

    Returns
    -------
    array (X, Y, Z), float32
        For `random_fields`.
    """
    placed = np.zeros(mask.shape)
    placed[mask] = values
    return np.abs(scipy.fft.fftn(placed)).astype(np.float32)


def random_fields(
    amplitude: NDArray[np.float32], draws: int, seed: int
) -> Iterator[NDArray[np.float32]]:
    """Draw Gaussian random fields with a given power spectrum.

    White noise is filtered in Fourier space, so the fields are stationary: they have the same
    variance and the same smoothness everywhere, up to the edge of the box (which is why they wrap
    around it). One complex transform gives two fields, its real and its imaginary part, which
    are independent of each other.

    Parameters
    ----------
    amplitude : array (X, Y, Z), float32
        Square root of the power at each frequency, in the order of `numpy.fft.fftn`.
    draws : int
    seed : int

    Yields
    ------
    array (X, Y, Z), float32
    """
    rng = np.random.default_rng(seed)
    for first in range(0, draws, 2):
        noise = rng.standard_normal((*amplitude.shape, 2), dtype=np.float32)
        both = scipy.fft.ifftn(noise.view(np.complex64)[..., 0] * amplitude, overwrite_x=True)
        yield both.real
        if first + 1 < draws:
            yield both.imag


def _width(correlation: float, size: float) -> float:
    """Width of the Gaussian, mm, that gives white noise this correlation over one voxel."""
    if correlation <= 0:
        return 0.0
    return size * float(np.sqrt(-2 * np.log(2) / np.log(min(correlation, 1 - 1e-12))))
