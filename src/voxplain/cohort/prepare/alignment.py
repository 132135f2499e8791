"""A brain laid over the MNI152 template by an affine transform, to a few millimetres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from voxplain.cohort.prepare.templates import mni152_template
from voxplain.grid import Grid
from voxplain.volume import Volume, resample, smooth

__all__ = ["laid_over_mni"]

# Coarse enough to be quick and for brains to overlap from the start.
_SIZE_MM, _FWHM_MM = 5.0, 10.0
_ROUNDS = 25
_ENOUGH = 1e-3


def laid_over_mni(brain: Volume) -> Volume:
    """Lay a skull-stripped brain over the MNI152 template: moved, turned, scaled and sheared.

    It starts with the centre and the extent of the brain along each axis of the world, and goes on
    by Gauss-Newton steps on the smoothed image, scaled to the template's intensities. No voxel
    is resampled: the grid is moved.

    Parameters
    ----------
    brain : Volume
        0 outside the brain.

    Returns
    -------
    Volume
        The same values on another grid.
    """
    template = mni152_template(2)
    grid = template.grid.recut(_SIZE_MM)
    fixed = resample(smooth(template.values, template.grid, _FWHM_MM), template.grid, grid)
    moving = smooth(brain.values, brain.grid, _FWHM_MM)
    to_brain = _extents(template) @ np.linalg.inv(_extents(brain))
    to_brain = np.linalg.inv(to_brain)
    place = _homogeneous(grid)
    inside = (fixed > 0.05 * fixed.max()).ravel()
    target = fixed.ravel()[inside].astype(np.float64)
    for _ in range(_ROUNDS):
        step = _step(moving, brain.grid, to_brain, place[:, inside], target)
        to_brain = to_brain + step
        if np.abs(step @ place[:, inside])[:3].max() < _ENOUGH:
            break
    to_mni = np.linalg.inv(to_brain)
    return Volume(brain.values, Grid(brain.grid.shape, to_mni @ brain.grid.affine), brain.subject)


def _extents(brain: Volume) -> NDArray[np.float64]:
    """Carry a unit brain at the origin to where this one lies, array (4, 4)."""
    where = brain.grid.to_world(np.argwhere(brain.values > 0)[::17].astype(np.float64))
    matrix = np.diag([*where.std(axis=0), 1.0])
    matrix[:3, 3] = where.mean(axis=0)
    return matrix


def _homogeneous(grid: Grid) -> NDArray[np.float64]:
    world = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3).astype(float))
    return np.vstack([world.T, np.ones(len(world))])


def _read(
    moving: NDArray[np.float32], voxels: NDArray[np.float64], along: int = -1, shift: float = 0.0
) -> NDArray[np.float64]:
    """Read an image at points, moved along one axis, array (P,)."""
    points = voxels if along < 0 else voxels + shift * np.eye(3)[along][:, None]
    return map_coordinates(moving, points, order=1, mode="constant", output=np.float64)


def _step(
    moving: NDArray[np.float32],
    grid: Grid,
    to_brain: NDArray[np.float64],
    place: NDArray[np.float64],
    target: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Find the change of the transform that brings the brain nearer, array (4, 4).

    The brain's intensities are scaled by one factor, which is found with the twelve parameters.
    """
    to_voxel = np.linalg.inv(grid.affine) @ to_brain
    voxels = (to_voxel @ place)[:3]
    here = _read(moving, voxels)
    slopes = np.stack(
        [(_read(moving, voxels, i, 1.0) - _read(moving, voxels, i, -1.0)) / 2 for i in range(3)]
    )
    per_mm = np.linalg.inv(grid.affine[:3, :3]).T @ slopes
    gain = float(here @ target) / (float(here @ here) + 1e-12)
    columns = [gain * per_mm[i] * place[j] for i in range(3) for j in range(4)]
    design = np.stack([*columns, here], axis=1)
    scale = np.asarray(np.sqrt(np.square(design).sum(axis=0)), dtype=np.float64) + 1e-12
    found = np.asarray(np.linalg.lstsq(design / scale, target - gain * here, rcond=None)[0]) / scale
    step = np.zeros((4, 4))
    step[:3] = found[:12].reshape(3, 4)
    return step
