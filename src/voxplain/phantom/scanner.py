"""The scanner: gain, receive field, contrast and noise, the same for an image and its pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.grid import Grid

__all__ = ["Scan", "Scanner"]


@dataclass(frozen=True)
class Scanner:
    """How much scans differ for reasons that are not anatomy.

    Parameters
    ----------
    level : float
        Signal of the template's brightest tissue, in the unit of the images.
    gain_sd : float
        Standard deviation of the logarithm of the overall gain.
    bias_sd : float
        Standard deviation of the logarithm of each low-order term of the receive field.
    contrast_sd : float
        Standard deviation of the logarithm of the exponent applied to the signal.
    noise : float
        Standard deviation of the complex noise, as a fraction of `level`.
    """

    level: float = 1000.0
    gain_sd: float = 0.05
    bias_sd: float = 0.05
    contrast_sd: float = 0.05
    noise: float = 0.03

    def draw(self, grid: Grid, rng: np.random.Generator) -> Scan:
        """Draw the circumstances of one scan."""
        return Scan(
            gain=self.level * np.exp(rng.normal(0, self.gain_sd)),
            bias=_smooth_polynomial(grid, rng.normal(0, self.bias_sd, 9)),
            exponent=float(np.exp(rng.normal(0, self.contrast_sd))),
            noise=(self.noise * self.level * rng.standard_normal((2, *grid.shape))).astype(
                np.float32
            ),
        )


@dataclass(frozen=True, eq=False)
class Scan:
    """One subject's gain, receive field, contrast and noise.

    Parameters
    ----------
    gain : float
    bias : array (X, Y, Z)
        Factor of the receive field.
    exponent : float
        Contrast: tissue signal, scaled to [0, 1], is raised to it.
    noise : array (2, X, Y, Z)
        Noise in the real and the imaginary channel.
    """

    gain: float
    bias: NDArray[np.float32]
    exponent: float
    noise: NDArray[np.float32]

    def acquire(self, tissue: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn tissue signal into a magnitude image with Rician noise.

        Parameters
        ----------
        tissue : array (X, Y, Z), in [0, 1]
            Zero outside the brain, where the image stays zero, as after skull stripping.

        Returns
        -------
        array (X, Y, Z), float32
            Whole numbers, as scanners store them.
        """
        brain = tissue > 0
        signal = np.zeros_like(tissue)
        signal[brain] = tissue[brain] ** self.exponent
        signal *= self.gain * self.bias
        image = np.hypot(signal + self.noise[0], self.noise[1])
        return np.where(brain, np.rint(image), 0).astype(np.float32)


def _smooth_polynomial(grid: Grid, coefficients: NDArray[np.float64]) -> NDArray[np.float32]:
    """Exponential of a random polynomial of degree two over the field of view."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in grid.shape], indexing="ij", sparse=True)
    terms = (x, y, z, x * y, y * z, z * x, x**2 - 1 / 3, y**2 - 1 / 3, z**2 - 1 / 3)
    field = np.zeros(grid.shape)
    for weight, term in zip(coefficients, terms, strict=True):
        field += weight * term
    return np.exp(field).astype(np.float32)
