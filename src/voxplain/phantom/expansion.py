"""Regions that grow: a deformation that changes the volume of one place and of no other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftn, ifftn
from scipy.ndimage import map_coordinates

from voxplain.errors import InputError
from voxplain.grid import Grid

__all__ = ["Flow"]

# The flow is followed in steps of this much of the logarithm of the region's volume.
_STEP = 0.05
_LARGEST = 1.0


@dataclass(frozen=True, eq=False)
class Flow:
    """Deformations of one kind, each known by how much larger its region becomes.

    Parameters
    ----------
    steps : array (2 S + 1, 3, X, Y, Z), float32, voxels
        Displacements by which an image is read: for -S to S steps of `unit`.
    unit : float
        Step, in the logarithm of the region's volume.
    fraction : array (X, Y, Z), in [0, 1]
        The region.
    """

    steps: NDArray[np.float32]
    unit: float
    fraction: NDArray[np.float32]

    @classmethod
    def expanding(
        cls,
        fraction: NDArray[np.float32],
        grid: Grid,
        unit: float = _STEP,
        largest: float = _LARGEST,
    ) -> Flow:
        """Make a region grow and let its surroundings give way.

        The velocity is the gradient of a potential whose Laplacian is the region itself, so that
        its divergence is 1 inside and, but for a share that is spread over the whole image, 0
        outside: tissue there is moved and keeps its volume.

        Parameters
        ----------
        fraction : array (X, Y, Z), in [0, 1]
        grid : Grid
            Its voxels may be of any size.
        unit, largest : float, default=0.05, 1.0
            Step and end, either way, of what is kept, in the logarithm of the region's volume.

        Returns
        -------
        Flow

        Raises
        ------
        InputError
            If the region is empty.
        """
        if not fraction.any():
            raise InputError("The region that is to grow has no voxel on the cohort's grid.")
        velocity = _velocity(fraction, grid.voxel_size)
        count = round(largest / unit)
        # Forward flow shows at a voxel what lay against the velocity, hence the signs.
        grown = _followed(-velocity, count, unit)
        shrunk = _followed(velocity, count, unit)
        steps = np.concatenate([shrunk[:0:-1], grown]).astype(np.float32)
        return cls(steps, unit, fraction)

    def displacement(self, amount: float) -> NDArray[np.float32]:
        """Where each voxel of the deformed image is read, as seen from it.

        Parameters
        ----------
        amount : float
            Logarithm of the region's volume after over before, at most 1 either way by default.

        Returns
        -------
        array (3, X, Y, Z), float32, voxels
        """
        middle = len(self.steps) // 2
        place = float(np.clip(middle + amount / self.unit, 0, len(self.steps) - 1))
        low = min(int(place), len(self.steps) - 2)
        share = np.float32(place - low)
        found: NDArray[np.float32] = (1 - share) * self.steps[low] + share * self.steps[low + 1]
        return found

    def warp(self, values: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
        """Deform an image, trilinearly, its border continued outside.

        Parameters
        ----------
        values : array (X, Y, Z)
        amount : float

        Returns
        -------
        array (X, Y, Z), float32
        """
        index = np.indices(values.shape, dtype=np.float32)
        return map_coordinates(
            values,
            index + self.displacement(amount),
            order=1,
            mode="nearest",
            output=np.float32,
        )

    def log_jacobian(self, amount: float) -> NDArray[np.float64]:
        """Logarithm of the volume of the deformed image's tissue over what it was.

        Parameters
        ----------
        amount : float

        Returns
        -------
        array (X, Y, Z)
            Where the deformed image lies; from differences of the displacement.
        """
        u = self.displacement(amount).astype(np.float64)
        matrix = np.stack([np.stack(np.gradient(component), axis=-1) for component in u], axis=-2)
        determinant = np.linalg.det(matrix + np.eye(3))
        found: NDArray[np.float64] = -np.log(np.maximum(determinant, 1e-6))
        return found


def _velocity(fraction: NDArray[np.float32], voxel_size: tuple[float, ...]) -> NDArray[np.float64]:
    """Find the velocity whose divergence is the region, array (3, X, Y, Z), voxels."""
    shape = [2 * n for n in fraction.shape]
    spectrum = fftn(fraction.astype(np.float64), shape)
    waves = [2 * np.pi * np.fft.fftfreq(n, size) for n, size in zip(shape, voxel_size, strict=True)]
    k = np.stack(np.meshgrid(*waves, indexing="ij"))
    square = (k**2).sum(axis=0)
    square[0, 0, 0] = 1.0
    spectrum[0, 0, 0] = 0.0
    window = tuple(slice(0, n) for n in fraction.shape)
    # The potential's Laplacian is the region: -k² p = f; its gradient is i k p.
    parts = [ifftn(-1j * wave * spectrum / square).real[window] for wave in k]
    return np.stack([part / size for part, size in zip(parts, voxel_size, strict=True)])


def _followed(velocity: NDArray[np.float64], count: int, unit: float) -> NDArray[np.float64]:
    """Follow a velocity field for 0 to `count` steps, array (count + 1, 3, X, Y, Z), voxels."""
    index = np.indices(velocity.shape[1:]).astype(np.float64)
    moved = [np.zeros_like(velocity)]
    for _ in range(count):
        last = moved[-1]
        here = _at(velocity, index + last)
        middle = _at(velocity, index + last + unit / 2 * here)
        moved.append(last + unit * middle)
    return np.stack(moved)


def _at(field: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([map_coordinates(c, points, order=1, mode="nearest") for c in field])
