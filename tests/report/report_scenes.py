from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voxplain.grid import Grid


def head_on(grid: Grid) -> NDArray[np.float32]:
    """A bright ellipsoid about the origin, with dark ventricles and faint noise around it."""
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    radius = np.sqrt(((world / [60, 75, 55]) ** 2).sum(-1))
    head = np.where(radius < 1, 100 - 30 * radius, 0)
    head[radius < 0.2] = 40
    noise = np.random.default_rng(0).random(grid.shape)
    return (head + noise).astype(np.float32)


def slab_on(grid: Grid, axis: int, low: float, high: float) -> NDArray[np.float32]:
    """1 where a world coordinate is between two values, mm."""
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    return ((world[..., axis] > low) & (world[..., axis] < high)).astype(np.float32)
