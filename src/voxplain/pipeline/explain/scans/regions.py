"""Tables of regions of single scans: each map summed up by the regions of atlases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.cohort import find_atlas
from voxplain.cohort.atlases import OWN, own_atlas
from voxplain.errors import InputError, remarks
from voxplain.group import region_table
from voxplain.images.files import ImageFile
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.scans.reading import Scan
from voxplain.pipeline.regions.placing import NONE, fitted, require_apart
from voxplain.pipeline.regions.tables import best_regions, by_rank, write_regions
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.study.names import spelled
from voxplain.volume import resample

__all__ = ["ScanRegions"]


@dataclass(frozen=True)
class _Place:
    """Where an atlas lies over a scan: how far it was moved there, and what is told of it."""

    shift: tuple[float, ...]
    told: dict[str, Any]


class ScanRegions:
    """Sums up the maps of single scans by the regions of atlases.

    Parameters
    ----------
    options : ScanOptions
    scans : sequence of Scan
    progress : Progress

    Raises
    ------
    InputError
        If an atlas does not lie over a scan, or a scan has no segmentation of its own.
    """

    def __init__(self, options: ScanOptions, scans: Sequence[Scan], progress: Progress) -> None:
        self.options = options
        names = [name for name in options.atlases if name != NONE]
        self._shared = {name: find_atlas(name) for name in names if name != OWN}
        require_apart([*self._shared.values()])
        # The fit is found once; regions are brought to each map when it is there.
        self._places = {
            (scan.volume.subject, name): self._fit(name, scan, progress)
            for scan in scans
            for name in names
        }

    def _fit(self, name: str, scan: Scan, progress: Progress) -> _Place:
        volume = scan.volume
        with remarks() as said:
            atlas = self._atlas(name, scan)
            try:
                move = None if name == OWN else self.options.move_atlas
                placed = fitted(atlas, volume.values, volume.grid, move=move)
            except InputError as error:
                raise InputError(f"{scan.path}: {error}") from error
        for one in said:
            progress.say(f"{volume.subject}: {one}")
        shift = placed.atlas.grid.affine[:3, 3] - atlas.grid.affine[:3, 3]
        return _Place(tuple(shift.tolist()), placed.told())

    def _atlas(self, name: str, scan: Scan) -> Atlas:
        """Give an atlas where the network sees the scan."""
        if name != OWN:
            return self._shared[name]
        own = own_atlas(ImageFile(scan.path))
        return own if scan.prepared is None else own.moved(scan.prepared.shift)

    def write(
        self, study: Study, scan: Scan, map_: AttributionMap, start: str
    ) -> list[dict[str, Any]]:
        """Write the tables of a map; return their files and the densest regions.

        Parameters
        ----------
        study : Study
        scan : Scan
        map_ : AttributionMap
            Of the scan, as it was written.
        start : str
            Its path in the study, without its ending.
        """
        at_home = self.options.grid == "input" and scan.prepared is not None
        brain = _brain(scan, at_home)
        found = []
        for (subject, name), place in self._places.items():
            if subject != scan.volume.subject:
                continue
            with remarks():
                atlas = self._atlas(name, scan).moved(place.shift)
            if at_home and scan.prepared:
                atlas = atlas.moved(-np.asarray(scan.prepared.shift))
            table = region_table(
                map_.values, atlas.on(map_.grid), brain, grid=map_.grid,
                method=map_.method, target=map_.target,
            )  # fmt: skip
            about = {"map": f"{start}_statmap.nii.gz", "unit": map_.unit, "atlas": place.told}
            there = f"{start}_atlas-{spelled(atlas.name)}"
            files = write_regions(study, there, by_rank(table.frame), about, self.options.latex)
            best = best_regions(table.frame)
            found.append({"atlas": atlas.name, "table": files[0], "best": best})
        return found


def _brain(scan: Scan, at_home: bool) -> NDArray[np.bool_]:
    """Where the network sees anything, on the grid of the maps."""
    seen: NDArray[np.bool_] = scan.volume.values != 0
    if not (at_home and scan.prepared):
        return seen
    there = resample(seen.astype(np.float32), scan.volume.grid, scan.prepared.placed)
    return there > 0.5
