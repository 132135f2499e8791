"""A scan on larger voxels: smoothed first, so that nothing between the new voxels is lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voxplain.grid import Grid
from voxplain.volume import resample

__all__ = ["downsample", "filter_reach"]

_PARALLEL = 1e-6
# Standard deviations at which scipy cuts the filter.
_TRUNCATE = 4.0


def downsample(values: NDArray[np.float32], source: Grid, target: Grid) -> NDArray[np.float32]:
    """Carry a scan to another grid, through a Gaussian filter where the new voxels are larger.

    Parameters
    ----------
    values : array (X, Y, Z), float32
    source, target : Grid

    Returns
    -------
    array (X', Y', Z'), float32
        Interpolated trilinearly, 0 outside the source's voxel centres.

    Notes
    -----
    Along a source axis with voxels of s mm, on which the target's voxels extend over t mm, the
    filter has a standard deviation of max(0, t - s) / 2 mm. On parallel grids this is the filter
    of ``skimage.transform.resize``, (t / s - 1) / 2 source voxels, with which the scans for the
    published networks were made. In another direction d (a unit vector), t is the length of the
    target voxel's edges weighted by that direction, ``|T' d|`` with the columns of T the edges:
    it equals the edge length along each edge and lies between them elsewhere. Axes on which the
    source is the coarser one are not filtered.

    Filter and interpolation are both separable. Where the axes of the grids are parallel, in
    whatever order and direction, each axis takes one small matrix that does both, and the filter
    is never worked out where no new voxel lies.
    """
    sigma = _filter_widths(source, target)
    to_source = np.linalg.inv(source.affine) @ target.affine
    order = _matching_axes(to_source[:3, :3])
    if order is None or not sigma.any():
        return resample(_smoothed(values, sigma), source, target)
    # From the last axis to the first, whose products need no copy of the scan.
    for axis in (2, 1, 0):
        towards = order.index(axis)
        at = to_source[axis, towards] * np.arange(target.shape[towards]) + to_source[axis, 3]
        matrix = _axis_matrix(at, source.shape[axis], sigma[axis])
        if axis == 2:
            values = values @ matrix.T
        elif axis == 1:
            values = matrix @ values
        else:
            rest = values.shape[1:]
            values = (matrix @ values.reshape(len(values), -1)).reshape(-1, *rest)
    return np.ascontiguousarray(values.transpose(order))


def filter_reach(source: Grid, target: Grid) -> list[int]:
    """Tell how far apart, in source voxels along each axis, values still touch in `downsample`."""
    return [int(np.ceil(_TRUNCATE * sigma)) + 2 for sigma in _filter_widths(source, target)]


def _filter_widths(source: Grid, target: Grid) -> NDArray[np.float64]:
    """Return the standard deviation of the filter along each source axis, in its voxels."""
    size = np.asarray(source.voxel_size)
    directions = source.affine[:3, :3] / size
    extent = np.linalg.norm(target.affine[:3, :3].T @ directions, axis=0)
    widths: NDArray[np.float64] = np.maximum(0, extent - size) / 2 / size
    return widths


def _smoothed(values: NDArray[np.float32], sigma: NDArray[np.float64]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    if not sigma.any():
        return values
    # The field of view ends at its border, the head does not: repeat the last voxel.
    return gaussian_filter(values, sigma, mode="nearest", truncate=_TRUNCATE)


def _matching_axes(matrix: NDArray[np.float64]) -> tuple[int, int, int] | None:
    """Find the source axis along which each target axis runs, or None where axes are oblique."""
    size = np.abs(matrix)
    a, b, c = size.argmax(axis=0).tolist()
    rest = size.copy()
    rest[[a, b, c], [0, 1, 2]] = 0
    parallel = {a, b, c} == {0, 1, 2} and rest.max() < _PARALLEL * size.max()
    return (a, b, c) if parallel else None


def _axis_matrix(at: NDArray[np.float64], length: int, sigma: float) -> NDArray[np.float32]:
    """Filter and interpolate one axis: array (new voxels, old voxels).

    Parameters
    ----------
    at : array (new voxels,)
        Where the new voxels lie, in old ones.
    length : int
        Number of old voxels.
    sigma : float, old voxels
    """
    from scipy.ndimage import gaussian_filter1d

    filtered = np.eye(length)
    if sigma:
        filtered = gaussian_filter1d(filtered, sigma, axis=0, mode="nearest", truncate=_TRUNCATE)
    low = np.clip(np.floor(at).astype(int), 0, length - 1)
    high = np.minimum(low + 1, length - 1)
    share = (at - low)[:, None]
    matrix = (1 - share) * filtered[low] + share * filtered[high]
    matrix[(at < 0) | (at > length - 1)] = 0
    narrow: NDArray[np.float32] = matrix.astype(np.float32)
    return narrow
