"""Anatomies: smooth, invertible deformations of a template, a new one for each subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from voxplain.grid import Grid

__all__ = ["Anatomy", "log_jacobian", "sample"]

_COARSE_MM = 6.0
_SQUARINGS = 5


@dataclass(frozen=True)
class Anatomy:
    """How much subjects differ in shape.

    A stationary velocity field is the sum of independent smooth random fields, one per spatial
    scale, and a random affine part. Scaling and squaring turns it into a diffeomorphism
    (Arsigny et al. 2006, "A log-Euclidean framework for statistics on diffeomorphisms").

    Parameters
    ----------
    scales : tuple of (float, float), mm
        Width (standard deviation of the Gaussian kernel) and standard deviation of the
        displacement of each random field.
    size_sd : float
        Standard deviation of the logarithm of the head's linear size.
    rotation_sd : float, degrees
    shift_sd : float, mm
    likeness : float, default=0.9
        Share of the variance of the velocity that members of one family have in common.
    """

    scales: tuple[tuple[float, float], ...] = ((10.0, 1.0), (20.0, 1.6), (40.0, 2.0))
    size_sd: float = 0.03
    rotation_sd: float = 2.0
    shift_sd: float = 1.0
    likeness: float = 0.9

    def draw(
        self,
        grid: Grid,
        rng: np.random.Generator,
        family: np.random.Generator | None = None,
        larger: float = 0.0,
    ) -> NDArray[np.float32]:
        """Draw one subject's displacement field.

        Parameters
        ----------
        grid : Grid
            Where the subject's voxels lie.
        rng : numpy.random.Generator
        family : numpy.random.Generator, optional
            In the same state for all members of a family, whose shapes are then alike.
        larger : float, default=0.0
            Added to the logarithm of the head's linear size.

        Returns
        -------
        array (3, X, Y, Z), float32, mm
            Add it to a voxel's world coordinates to find the point of the template seen there.
        """
        coarse = _coarsened(grid)
        velocity = self._velocity(coarse, rng)
        if family is not None:
            shared = self._velocity(coarse, family)
            velocity = np.sqrt(self.likeness) * shared + np.sqrt(1 - self.likeness) * velocity
        if larger:
            world = _world(coarse)
            # A point of the template is seen further out in a larger head, so the field points in.
            centre = world.reshape(3, -1).mean(axis=1)
            velocity = velocity - larger * (world - centre[:, None, None, None])
        displacement = _integrate(velocity, coarse)
        return _upsampled(displacement, coarse, grid)

    def _velocity(self, grid: Grid, rng: np.random.Generator) -> NDArray[np.float64]:
        velocity = np.zeros((3, *grid.shape))
        for width, deviation in self.scales:
            sigma = width / np.asarray(grid.voxel_size)
            kept = np.prod(4 * np.pi * sigma**2) ** -0.25
            for component in velocity:
                noise = gaussian_filter(rng.standard_normal(grid.shape), sigma, mode="wrap")
                component += deviation / kept * noise
        generator = _affine_generator(
            rng.normal(0, self.size_sd), rng.normal(0, np.deg2rad(self.rotation_sd), 3)
        )
        world = _world(grid)
        centre = world.reshape(3, -1).mean(axis=1)
        offset = world - centre[:, None, None, None]
        shift = rng.normal(0, self.shift_sd, 3)
        velocity += np.einsum("ij,jxyz->ixyz", generator, offset) + shift[:, None, None, None]
        return velocity


def log_jacobian(displacement: NDArray[np.float32], grid: Grid) -> NDArray[np.float64]:
    """Find how much larger tissue is in a subject than in the brain that it is made of.

    Parameters
    ----------
    displacement : array (3, X, Y, Z), mm
        What `Anatomy.draw` returns.
    grid : Grid

    Returns
    -------
    array (X, Y, Z)
        Logarithm of the volume in the subject over that in the brain at rest, from differences.
    """
    along = np.stack([np.stack(np.gradient(one), axis=-1) for one in displacement], axis=-2)
    per_mm = along @ np.linalg.inv(grid.affine[:3, :3])
    determinant = np.linalg.det(per_mm + np.eye(3))
    # A point of the brain at rest is read from each voxel: where it grew, steps there are small.
    found: NDArray[np.float64] = -np.log(np.maximum(determinant, 1e-6))
    return found


def sample(
    values: NDArray[np.float32], source: Grid, points: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate an image at points of world space, trilinearly, zero outside.

    Parameters
    ----------
    values : array (X', Y', Z')
    source : Grid
        Where the values lie.
    points : array (3, X, Y, Z), mm

    Returns
    -------
    array (X, Y, Z), float32
    """
    voxels = source.to_voxel(points.reshape(3, -1).T).T.reshape(points.shape)
    return map_coordinates(values, voxels, order=1, mode="constant", output=np.float32)


def _coarsened(grid: Grid) -> Grid:
    factor = np.maximum(1.0, _COARSE_MM / np.asarray(grid.voxel_size))
    shape = np.maximum(2, np.ceil(np.asarray(grid.shape) / factor).astype(int) + 1)
    step = (np.asarray(grid.shape) - 1) / (shape - 1)
    affine = grid.affine.copy()
    affine[:3, :3] *= step
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _world(grid: Grid) -> NDArray[np.float64]:
    index = np.indices(grid.shape).reshape(3, -1).T
    return grid.to_world(index).T.reshape(3, *grid.shape)


def _affine_generator(log_size: float, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z = angles
    return np.array([[log_size, -z, y], [z, log_size, -x], [-y, x, log_size]])


def _integrate(velocity: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Scaling and squaring: the flow at time one of a velocity field, as a displacement in mm."""
    index = np.indices(grid.shape).astype(np.float64)
    to_voxels = np.linalg.inv(grid.affine[:3, :3])
    displacement: NDArray[np.float64] = velocity / 2**_SQUARINGS
    for _ in range(_SQUARINGS):
        moved = index + np.einsum("ij,jxyz->ixyz", to_voxels, displacement)
        displacement = displacement + np.stack(
            [map_coordinates(c, moved, order=1, mode="nearest") for c in displacement]
        )
    return displacement


def _upsampled(field: NDArray[np.float64], coarse: Grid, grid: Grid) -> NDArray[np.float32]:
    """Trilinear interpolation along one axis after the other, as a product of small matrices."""
    out = field.astype(np.float32)
    for axis, (few, many) in enumerate(zip(coarse.shape, grid.shape, strict=True), start=1):
        position = np.linspace(0, few - 1, many)
        low = np.minimum(position.astype(int), few - 2)
        weights = np.zeros((many, few), dtype=np.float32)
        weights[np.arange(many), low] = 1 - (position - low)
        weights[np.arange(many), low + 1] += position - low
        out = np.moveaxis(np.tensordot(weights, out, axes=(1, axis)), 0, axis)
    return out
