"""Statistics of whole maps: clusters and threshold-free cluster enhancement."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Cluster", "Space", "find_clusters"]

_TOUCHING = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class Cluster:
    """Voxels that touch by a face, an edge or a corner, beyond a threshold on one side.

    Parameters
    ----------
    voxels : array (K,), int64
        Places among the voxels of the mask.
    sign : {1, -1}
    mass : float
        Sum of what lies beyond the threshold.
    peak : int
        Place of the value of largest magnitude.
    """

    voxels: NDArray[np.int64]
    sign: int
    mass: float
    peak: int

    @property
    def size(self) -> int:
        """Number of voxels."""
        return len(self.voxels)


class Space:
    """Where the voxels of a mask lie, cut to the box that holds them.

    Parameters
    ----------
    mask : array (X, Y, Z), bool
    """

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        box = ndimage.find_objects(mask.astype(np.int8))[0]
        # Fortran's order, which the tree of TFCE reads without a copy.
        self.inside = np.asfortranarray(mask[box])
        self.places = np.flatnonzero(self.inside.ravel(order="K"))
        order = np.empty(mask.shape, dtype=np.int64)
        order[mask] = np.arange(int(mask.sum()))
        self.order = order[box].ravel(order="F")[self.places]

    def volume(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put values of the mask's voxels into the box, 0 elsewhere."""
        flat = np.zeros(self.inside.size, dtype=np.float32)
        flat[self.places] = values[self.order]
        return flat.reshape(self.inside.shape, order="F")

    def labels(self, beyond: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
        """Give each of some voxels the number of its cluster, array (V,), and their count."""
        flat = np.zeros(self.inside.size, dtype=bool)
        flat[self.places] = beyond[self.order]
        found, count = ndimage.label(flat.reshape(self.inside.shape, order="F"), _TOUCHING)
        out = np.empty(len(self.order), dtype=np.int32)
        out[self.order] = found.ravel(order="F")[self.places]
        return out, int(count)

    def largest(self, t: NDArray[np.float32], threshold: float) -> tuple[float, float]:
        """Find the largest size and the largest mass of the clusters on both sides."""
        size, mass = 0.0, 0.0
        for side in (t, -t):
            beyond = side > threshold
            if not beyond.any():
                continue
            labels, _ = self.labels(beyond)
            held = labels[beyond]
            size = max(size, float(np.bincount(held).max()))
            mass = max(mass, float(np.bincount(held, weights=side[beyond] - threshold).max()))
        return size, mass

    def tfce(self, t: NDArray[np.float32]) -> NDArray[np.float32]:
        """Enhance a map, array (V,): exact, of extent to .5 and height squared, 26 neighbours."""
        from tfce import tfce

        found = tfce(self.volume(t), connectivity=26)
        out = np.empty(len(self.order), dtype=np.float32)
        out[self.order] = found.ravel(order="F")[self.places]
        return out


def find_clusters(t: NDArray[np.float32], space: Space, threshold: float) -> list[Cluster]:
    """List the clusters beyond a threshold, the largest mass first.

    Parameters
    ----------
    t : array (V,), float32
    space : Space
    threshold : float
        Of the absolute t.

    Returns
    -------
    list of Cluster
    """
    found = []
    for sign in (1, -1):
        side = sign * t
        labels, count = space.labels(side > threshold)
        order = np.argsort(labels, kind="stable")
        ends = np.searchsorted(labels[order], np.arange(1, count + 2))
        for first, last in pairwise(ends):
            voxels = order[first:last].astype(np.int64)
            mass = float((side[voxels] - threshold).sum(dtype=np.float64))
            found.append(Cluster(voxels, sign, mass, int(voxels[side[voxels].argmax()])))
    return sorted(found, key=lambda cluster: -cluster.mass)
