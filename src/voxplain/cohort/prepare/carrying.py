"""Maps whose voxels are shares of a sum, on another grid: the sum is kept, place by place."""

from __future__ import annotations

from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import GridError
from voxplain.grid import Grid

__all__ = ["Carrier"]

# A point of the finer target then lies within a voxel of every source voxel in its field of view.
_REACH = 1.9
_POINTS = 500_000


class Carrier:
    """The way of additive maps from one grid to another.

    Each source voxel is a tent: 1 at its centre and 0 at its neighbours, linear along each axis,
    as in trilinear interpolation. Its value is shared out among the target's voxels by the height
    of the tent at their centres (or at points within them, where they are the larger ones), and
    the shares of one source voxel add up to its value. So where the target's voxels are smaller,
    the map is the interpolated one times the ratio of the voxels' volumes, and the sum over any
    region stays what it was but for the voxels at its rim. Source voxels whose centre lies outside
    the target's field of view have no place there: their values go to the nearest source voxel
    that has one, or are left out.

    Parameters
    ----------
    source, target : Grid
    """

    def __init__(self, source: Grid, target: Grid) -> None:
        self.source, self.target = source, target
        to_source = np.linalg.inv(source.affine) @ target.affine
        self.parts = _parts(to_source[:3, :3])
        # Points within voxels are the voxels of a finer grid over the same box.
        finer = np.diag([*(1 / self.parts), 1.0])
        finer[:3, 3] = (1 / self.parts - 1) / 2
        self._to_source = to_source @ finer
        self._shape = tuple(int(n) for n in self.parts * target.shape)
        seen = _tents(self._to_source, self._shape, source.shape)
        there = target.to_voxel(source.to_world(np.moveaxis(np.indices(source.shape), 0, -1)))
        self.held = ((there >= -0.5) & (there <= np.asarray(target.shape) - 0.5)).all(-1)
        self.held &= seen > 0
        self._factor = np.where(self.held, 1 / np.where(self.held, seen, 1), 0)

    def __call__(self, values: ArrayLike, outside: bool = True) -> NDArray[np.float32]:
        """Carry a map.

        Parameters
        ----------
        values : array (X, Y, Z)
            On the source grid.
        outside : bool, default=True
            Whether values outside the target's field of view go to its border, so that the whole
            sum is kept, or only that of the voxels that are `held`.

        Returns
        -------
        array (X', Y', Z'), float32
            On the target grid.
        """
        from scipy.ndimage import affine_transform

        array = np.asarray(values, dtype=np.float64)
        if array.shape != self.source.shape:
            raise GridError(f"The values have shape {array.shape}, their grid {self.source.shape}.")
        if outside:
            gathered = np.bincount(self._nearest, weights=array.ravel(), minlength=array.size)
            array = gathered.astype(np.float64).reshape(array.shape)
        points = affine_transform(
            array * self._factor,
            self._to_source,
            output_shape=self._shape,
            output=np.float32,
            order=1,
            mode="grid-constant",
        )
        x, y, z = self.target.shape
        a, b, c = self.parts
        whole: NDArray[np.float32] = points.reshape(x, a, y, b, z, c).sum(axis=(1, 3, 5))
        return whole

    @cached_property
    def _nearest(self) -> NDArray[np.int64]:
        """Number of the nearest voxel that is held, for each source voxel."""
        from scipy.ndimage import distance_transform_edt

        index = distance_transform_edt(
            np.asarray(~self.held),
            sampling=list(self.source.voxel_size),
            return_distances=False,
            return_indices=True,
        )
        flat: NDArray[np.int64] = np.ravel_multi_index(tuple(index), self.held.shape).ravel()
        return flat


def _parts(matrix: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find into how many points each target axis is cut, so that no source voxel falls between."""
    parts = np.ones(3, dtype=np.int64)
    while (steps := np.abs(matrix) / parts).sum(axis=1).max() > _REACH:
        row = steps.sum(axis=1).argmax()
        parts[steps[row].argmax()] += 1
    return parts


def _tents(
    to_source: NDArray[np.float64], points: tuple[int, ...], shape: tuple[int, int, int]
) -> NDArray[np.float64]:
    """Add up the height of each source voxel's tent over all points, array of the source's shape.

    It is the transpose of trilinear interpolation, of ones.
    """
    padded = np.array(shape) + 2
    strides = np.array([padded[1] * padded[2], padded[2], 1])
    total = np.zeros(int(padded.prod()))
    a, b, c = points
    at_once = max(1, _POINTS // (b * c))
    for first in range(0, a, at_once):
        index = np.indices((min(at_once, a - first), b, c)).reshape(3, -1)
        index[0] += first
        place = to_source[:3, :3] @ index + to_source[:3, 3:]
        near = ((place >= -1) & (place < np.array(shape)[:, None])).all(axis=0)
        if not near.all():
            place = place[:, near]
        base = np.floor(place)
        up = place - base
        x, y, z = ((1 - share, share) for share in up)
        start = strides @ (base.astype(np.int64) + 1)
        for i, j, k in product((0, 1), repeat=3):
            total += np.bincount(start + strides @ (i, j, k), x[i] * y[j] * z[k], len(total))
    inner: NDArray[np.float64] = total.reshape(padded)[1:-1, 1:-1, 1:-1]
    return inner
