"""What phantoms are made of: a template, or real brains, seen through a deformation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.phantom.anatomy import sample
from voxplain.volume import Volume, resample, smooth

__all__ = ["Bases", "Rest", "Seen"]

_PER_FWHM = np.sqrt(8 * np.log(2))
_BRAIN = 0.1
# Brightest of a brain's tissue: a few vessels are brighter than all else.
_BRIGHTEST = 99.5


class Rest(NamedTuple):
    """The brains as they are, not deformed; of several, their mean.

    Parameters
    ----------
    tissue : array (X, Y, Z), in [0, 1]
    brain : array (X, Y, Z), bool
    fractions : list of array (X, Y, Z), in [0, 1]
        Share of each voxel that lies in each part.
    parts : list of array (X, Y, Z), bool
        Voxels that lie in it for the most part.
    """

    tissue: NDArray[np.float32]
    brain: NDArray[np.bool_]
    fractions: list[NDArray[np.float32]]
    parts: list[NDArray[np.bool_]]


@dataclass(eq=False)
class Seen:
    """One brain seen at points of the atlas's space.

    Parameters
    ----------
    bases : Bases
    number : int
        Of the brain.
    points : array (3, X, Y, Z), mm
    elsewhere : dict
        What `moved` has found.
    """

    bases: Bases
    number: int
    points: NDArray[np.float32]
    elsewhere: dict[tuple[float, ...], Seen] = field(default_factory=dict)

    @cached_property
    def tissue(self) -> NDArray[np.float32]:
        """Signal of the tissue, array (X, Y, Z), in [0, 1], 0 outside the brain."""
        return self.bases.tissue(self.number, self.points)

    @cached_property
    def fractions(self) -> list[NDArray[np.float32]]:
        """Share of each voxel that lies in each part, arrays (X, Y, Z), in [0, 1]."""
        return self.bases.fractions(self.points, self.tissue)

    def moved(self, by: tuple[float, ...], find: Callable[[], NDArray[np.float32]]) -> Seen:
        """See the same brain at other points, which are found once.

        Parameters
        ----------
        by : tuple of float
            What they depend on.
        find : callable
            Gives the displacement, array (3, X, Y, Z), mm.
        """
        if by not in self.elsewhere:
            self.elsewhere[by] = Seen(self.bases, self.number, self.points + find())
        return self.elsewhere[by]


class Bases:
    """One template or several brains, blurred to the voxels of a grid.

    A voxel of a scanner averages over its own width; sampling a blurred brain stands for that.

    Parameters
    ----------
    brains : Volume or sequence of Volume
        Skull-stripped, in the atlas's space.
    atlas : Atlas
    parts : sequence of tuple of str
        Regions of each part of an effect.
    grid : Grid
        Of the images that are made.

    Raises
    ------
    InputError
        If there is no brain, or a region is unknown.
    """

    def __init__(
        self,
        brains: Volume | Sequence[Volume],
        atlas: Atlas,
        parts: Sequence[tuple[str, ...]],
        grid: Grid,
    ) -> None:
        several = not isinstance(brains, Volume)
        each = [brains] if isinstance(brains, Volume) else brains
        if not len(each):
            raise InputError("A phantom cohort needs a brain to be made of; none was given.")
        self._several = several
        self._brains: list[tuple[NDArray[np.float32], Grid]] = []
        for brain in each:
            width = _width(grid, brain.grid)
            top = np.percentile(brain.values[brain.values > 0], _BRIGHTEST) if several else None
            tissue = np.clip(brain.values / (top or brain.values.max()), 0, 1)
            blurred = smooth(tissue, brain.grid, width)
            # A template fades out by itself; a brain ends where its mask fills half of a voxel.
            if several:
                blurred[smooth(brain.values > 0, brain.grid, width) < 0.5] = 0
            blurred[blurred < 1e-3] = 0
            self._brains.append((blurred, brain.grid))
        masks = [atlas.mask(regions).astype(np.float32) for regions in parts]
        if several:
            # Brains differ in their grids, regions lie where the atlas has them.
            self._place = atlas.grid
            width = _width(grid, atlas.grid)
            self._fractions = [smooth(mask, atlas.grid, width) for mask in masks]
        else:
            self._place = each[0].grid
            there = [resample(mask, atlas.grid, self._place, order=0) for mask in masks]
            self._fractions = [smooth(one * (tissue > 0), self._place, width) for one in there]

    def __len__(self) -> int:
        return len(self._brains)

    def tissue(self, number: int, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a brain's signal at points of the atlas's space, array (X, Y, Z)."""
        values, grid = self._brains[number % len(self)]
        return sample(values, grid, points)

    def fractions(
        self, points: NDArray[np.float32], tissue: NDArray[np.float32]
    ) -> list[NDArray[np.float32]]:
        """Return the share of each part at points of the atlas's space, arrays (X, Y, Z)."""
        found = [sample(fraction, self._place, points) for fraction in self._fractions]
        return [one * (tissue > 0) for one in found] if self._several else found

    def seen_at(self, points: NDArray[np.float32], number: int) -> Seen:
        """See a brain, counted round and round, at points of the atlas's space."""
        return Seen(self, number % len(self), points)

    def at_rest(self, points: NDArray[np.float32]) -> Rest:
        """See all brains as they are."""
        each = [self.tissue(number, points) for number in range(len(self))]
        tissue: NDArray[np.float32] = np.stack(each).mean(axis=0) if self._several else each[0]
        brain = np.mean([one > _BRAIN for one in each], axis=0) >= 0.5
        fractions = self.fractions(points, tissue)
        return Rest(tissue, brain, fractions, [one >= 0.5 for one in fractions])


def _width(grid: Grid, finer: Grid) -> float:
    return float(_PER_FWHM * (np.mean(grid.voxel_size) - np.mean(finer.voxel_size)) / 2)
