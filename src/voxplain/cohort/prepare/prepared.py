"""A scan as a network sees it, and the way of its maps back to the scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.cohort.prepare.carrying import Carrier
from voxplain.errors import InputError
from voxplain.grid import Grid, require_same_grid
from voxplain.maps import AttributionMap
from voxplain.volume import Volume, resample

__all__ = ["Prepared"]

# Of the sum of magnitudes; rounding to float32 stays far below.
_LOST = 1e-4


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan as the network sees it, and the way back.

    Parameters
    ----------
    volume : Volume
        On the recipe's grid and intensity scale.
    source : Grid
        Grid of the scan as given.
    brain_ml : float, mL
        Volume of the brain, see `voxplain.cohort.prepare.background`, as large as in the scan.
    placed : Grid
        Grid of the scan as used: `source`, moved if the brain was centred.
    notes : tuple of str
        What was done or looks wrong, one sentence each.
    flags : tuple of str
        Kinds of what looks wrong: ``"head"``, ``"small"``, ``"far"``, ``"cut"``.
    """

    volume: Volume
    source: Grid
    brain_ml: float
    placed: Grid
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def shift(self) -> tuple[float, float, float]:
        """By how much the brain was moved, right, front and up, mm."""
        x, y, z = (self.placed.affine[:3, 3] - self.source.affine[:3, 3]).tolist()
        return (x, y, z)

    def back(
        self, values: ArrayLike, additive: bool = True, outside: bool = True
    ) -> NDArray[np.float32]:
        """Carry a map from the network's grid to the scan's own voxels.

        Parameters
        ----------
        values : array (X, Y, Z)
            On the grid of `volume`.
        additive : bool, default=True
            Whether a value is the share of its voxel in a sum, as of gradients, relevance and
            Shapley values (`MethodInfo.additive`). The sum over voxels is
            then kept, place by place: smaller voxels hold smaller values. Otherwise a value
            belongs to a place, as of Grad-CAM, occlusion or a mask, and is interpolated.
        outside : bool, default=True
            Whether shares that lie outside the scan's field of view go to its border, so that the
            whole sum is kept; or are left out, as a gradient there tells nothing of the scan.

        Returns
        -------
        array (X', Y', Z'), float32
            On the grid `source`; 0 outside the network's field of view.

        Raises
        ------
        GridError
            If the shape is not that of `volume`.
        """
        if additive and not self.volume.grid.same_as(self.placed):
            return self._carrier(values, outside)
        return resample(values, self.volume.grid, self.placed)

    def to_scan(self, map_: AttributionMap) -> AttributionMap:
        """Carry a map of `volume` to the grid of the scan as given.

        Parameters
        ----------
        map_ : AttributionMap
            What `voxplain.explain` made of `volume`.

        Returns
        -------
        AttributionMap
            On the grid `source`. Where values are shares of a sum (`AttributionMap.additive`), the
            sum over voxels is kept, place by place, and the notes tell it on both grids; shares
            outside the scan's field of view go to its border where the map is `complete`, and are
            left out elsewhere. Other maps are interpolated. A spread is carried in the same way,
            as if its voxels varied as one.

        Raises
        ------
        GridError
            If the map does not lie on the grid of `volume`.
        """
        if not isinstance(map_, AttributionMap):
            raise InputError(
                f"to_scan takes an AttributionMap; {type(map_).__name__} was given: arrays are "
                "carried by back(values, additive)."
            )
        require_same_grid(map_.grid, self.volume.grid, "The map and the prepared volume")
        how = map_.additive, map_.complete
        values = self.back(map_.values, *how)
        spread = None if map_.spread is None else self.back(map_.spread, *how)
        provenance = map_.provenance
        if map_.additive:
            notes = (*provenance.notes, self._sums(map_, values))
            provenance = replace(provenance, notes=notes)
        return replace(map_, values=values, spread=spread, grid=self.source, provenance=provenance)

    def _sums(self, map_: AttributionMap, values: NDArray[np.float32]) -> str:
        before, after = (float(part.sum(dtype=np.float64)) for part in (map_.values, values))
        words = (
            f"the sum over voxels is {before:.6g} on the network's grid and {after:.6g} on the "
            "scan's"
        )
        inside = self.back(map_.values, outside=False) if map_.complete else values
        lost = before - float(inside.sum(dtype=np.float64))
        if abs(lost) > _LOST * np.abs(map_.values).sum(dtype=np.float64):
            words += f"; {lost:.3g} lies outside the scan's field of view and was "
            words += "put on its border" if map_.complete else "left out"
        return words

    def __repr__(self) -> str:
        notes = f", {len(self.notes)} notes" * bool(self.notes)
        return f"Prepared({self.volume!r} of a scan of {self.source}{notes})"

    @cached_property
    def _carrier(self) -> Carrier:
        return Carrier(self.volume.grid, self.placed)
