"""Named regions that lie in the brains of a study, in an order drawn by lot."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxplain.cohort import load_atlas
from voxplain.volume import Cohort, resample

__all__ = ["Place", "regions_within"]

_FEWEST = 8


class Place(NamedTuple):
    """A region of an atlas, on the grid of a cohort.

    Parameters
    ----------
    name : str
    voxels : array (X, Y, Z), bool
        Of the brain alone.
    """

    name: str
    voxels: NDArray[np.bool_]


def regions_within(
    cohort: Cohort, brain: NDArray[np.bool_], millilitres: tuple[float, float], seed: int
) -> list[Place]:
    """Find the regions of AAL of a size that fill eight voxels of the brain or more.

    Parameters
    ----------
    cohort : Cohort
    brain : array (X, Y, Z), bool
    millilitres : tuple of 2 floats, mL
        Least and largest volume in the atlas.
    seed : int
        Of their order.

    Returns
    -------
    list of Place
        Where no region fills eight voxels, the one that fills most; none where none fills any.
    """
    atlas = load_atlas("AAL")
    low, high = millilitres
    size = np.bincount(atlas.labels.ravel()) * atlas.grid.voxel_volume / 1000
    labels = np.rint(resample(atlas.labels, atlas.grid, cohort.grid, order=0)).astype(int)
    there = [
        Place(name, (labels == label) & brain)
        for label, name in sorted(atlas.names.items(), key=lambda item: item[1])
        if low <= size[label] <= high
    ]
    there.sort(key=lambda one: -int(one.voxels.sum()))
    large = [one for one in there if one.voxels.sum() >= _FEWEST] or there[:1]
    found = sorted((one for one in large if one.voxels.any()), key=lambda one: one.name)
    order = np.random.default_rng([seed, 5]).permutation(len(found))
    return [found[i] for i in order]
