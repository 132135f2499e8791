"""A volume cut into blocks, where no atlas says which voxels belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["cubes"]


def cubes(shape: Sequence[int], edges: Sequence[float]) -> NDArray[np.int64]:
    """Cut a volume into blocks of nearly one size.

    Parameters
    ----------
    shape : sequence of 3 ints
    edges : sequence of 3 floats, voxels
        Wanted edge lengths; each axis is cut into the whole number of parts that comes nearest.

    Returns
    -------
    array (X, Y, Z), int64
        Labels from 1, in the order of the axes.
    """
    labels = np.zeros(tuple(shape), dtype=np.int64)
    for axis, (voxels, edge) in enumerate(zip(shape, edges, strict=True)):
        parts = min(voxels, max(1, round(voxels / edge)))
        place = np.arange(voxels) * parts // voxels
        labels = labels * parts + np.expand_dims(place, [a for a in range(3) if a != axis])
    return labels + 1
