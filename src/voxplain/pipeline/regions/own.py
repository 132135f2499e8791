"""Each scan's own segmentation: found beside it, brought to its map, summed up over scans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.cohort.atlases import OWN, own_atlas, segmentation_of
from voxplain.cohort.store.origins import Origin
from voxplain.errors import InputError, remarks
from voxplain.group import own_regions, region_table
from voxplain.maps import RegionTable
from voxplain.pipeline.regions.placing import fitted
from voxplain.progress import Progress
from voxplain.tables.cells import shown
from voxplain.volume import Cohort

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OwnRegions"]

_COVERED = 0.3


class OwnRegions:
    """Regions of the very brain of each scan of a study.

    Scans without a segmentation are left out, which is said.

    Parameters
    ----------
    cohort : Cohort
    origins : sequence of Origin
        Of each scan.
    seed : int
        Of the bootstrap.
    progress : Progress

    Raises
    ------
    InputError
        If no scan has a segmentation, or the first one cannot be used or lies elsewhere.
    """

    def __init__(
        self, cohort: Cohort, origins: Sequence[Origin], seed: int, progress: Progress
    ) -> None:
        self.cohort, self.origins, self.seed, self.progress = cohort, origins, seed, progress
        self.held: list[int] = []
        lacking: list[str] = []
        reasons: list[InputError] = []
        for row, origin in enumerate(origins):
            try:
                segmentation_of(origin.image)
            except InputError as error:
                lacking.append(cohort.subjects[row])
                reasons.append(error)
            else:
                self.held.append(row)
        if not self.held:
            raise reasons[0]
        if lacking:
            self._say(f"beside {len(lacking)} scans ({shown(lacking)}) lies none; left out")
        self.lacking = lacking
        self._heard: list[str] = []
        self._bare: list[str] = []
        with remarks() as said:
            tissue, grid = cohort[self.held[0]].values, cohort.grid
            self.fit = fitted(self._placed(self.held[0]), tissue, grid, move=None).fit
        for one in said:
            progress.say(f"{cohort.subjects[self.held[0]]}: {one}")

    def told(self) -> dict[str, Any]:
        """Say of whom the regions are, for JSON."""
        return {
            "name": OWN,
            "space": "each scan's own",
            "moved": False,
            "scans": len(self.held),
            "without": self.lacking,
        }

    def _say(self, what: str) -> None:
        self.progress.say(f"Own segmentations: {what}.")

    def _placed(self, row: int) -> Atlas:
        """Read a scan's segmentation, where the network sees the scan."""
        origin = self.origins[row]
        return own_atlas(origin.image).moved(origin.shift)

    def table(self, row: int, values: NDArray[np.float32], target: str) -> RegionTable | None:
        """Sum up the map of a scan by its own regions; None where it has none in its brain.

        Parameters
        ----------
        row : int
            Of the scan in the cohort.
        values : array (X, Y, Z)
            On the cohort's grid.
        target : str
        """
        if row not in self.held:
            return None
        with remarks() as said:
            atlas = self._placed(row).on(self.cohort.grid)
        self._heard += said
        brain = self.cohort[row].values != 0
        covered = float((atlas.labels[brain] > 0).mean())
        if covered < _COVERED:
            self._bare.append(self.cohort.subjects[row])
        if covered == 0:
            return None
        return region_table(values, atlas, brain, grid=self.cohort.grid, method="", target=target)

    def tell(self) -> None:
        """Say what was odd in the segmentations since the last time."""
        if self._heard:
            more = f" (and {len(self._heard) - 1} more)" * (len(self._heard) > 1)
            self.progress.say(f"{self._heard[0]}{more}")
        if self._bare:
            few = f"{100 * _COVERED:.0f} %"
            self._say(f"those of {shown(self._bare)} cover less than {few} of the brain")
        self._heard, self._bare = [], []

    def summed(self, tables: Sequence[RegionTable], rows: Sequence[int]) -> pd.DataFrame:
        """Average tables of scans over participants; see `voxplain.group.own_regions`."""
        people = self.cohort.participants["participant_id"].astype(str)
        return own_regions(tables, [people[row] for row in rows], self.seed)
