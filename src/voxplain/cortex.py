"""The surface of the cortex, on which maps are laid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from voxplain.grid import Grid

__all__ = ["DEPTHS", "Cortex"]

DEPTHS: Final = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where between pial and white surface a map is read, 0 at the pial."""


@dataclass(frozen=True, eq=False)
class Cortex:
    """Both hemispheres as surfaces, the left one's vertices first.

    Parameters
    ----------
    pial, white : array (V, 3), mm
        Of MNI152.
    inflated : array (V, 3), mm
        Each hemisphere about its own centre.
    sulcus : array (V,)
        Depth of folding, above 0 in sulci.
    faces : array (F, 3), int
        Corners of the left hemisphere's triangles, counter-clockwise from outside; the right one
        has the same, V / 2 higher.
    """

    pial: NDArray[np.float32]
    white: NDArray[np.float32]
    inflated: NDArray[np.float32]
    sulcus: NDArray[np.float32]
    faces: NDArray[np.int32]

    @property
    def half(self) -> int:
        """How many vertices a hemisphere has."""
        return len(self.pial) // 2

    def read(self, values: ArrayLike, grid: Grid) -> NDArray[np.float32]:
        """Read a map at every vertex: linearly, and averaged over the depth of the cortex.

        Parameters
        ----------
        values : array (X, Y, Z)
            In MNI152; what lies outside counts as 0.
        grid : Grid
            Of the map.

        Returns
        -------
        array (V,), float32
        """
        found = np.zeros(len(self.pial))
        for depth in DEPTHS:
            places = grid.to_voxel((1 - depth) * self.pial + depth * self.white)
            found += ndimage.map_coordinates(
                np.asarray(values, dtype=np.float64), places.T, order=1, mode="constant"
            )
        return (found / len(DEPTHS)).astype(np.float32)

    def within(self, brain: NDArray[np.bool_], grid: Grid) -> float:
        """Tell which share of the surface lies in a brain, array (X, Y, Z), bool."""
        places = grid.to_voxel((self.pial + self.white) / 2)
        inside = ndimage.map_coordinates(brain.astype(np.uint8), places.T, order=0, mode="constant")
        return float(inside.mean())
