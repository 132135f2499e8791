"""The maps of a study on the grid of each scan itself, beside those on the study's."""

from __future__ import annotations

from pathlib import Path

from voxplain.attribution import METHODS
from voxplain.cohort.store.origins import read_origins
from voxplain.maps import AttributionMap
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["OwnGrids"]


class OwnGrids:
    """Carries maps back to the scans that they belong to, one at a time.

    Parameters
    ----------
    study : Study
    cohort : Cohort

    Raises
    ------
    StudyError
        If the study does not know where its scans lay.
    """

    def __init__(self, study: Study, cohort: Cohort) -> None:
        self.study, self.cohort = study, cohort
        self.origins = read_origins(study.folder / "cohort")
        self.count = 0

    def write(self, row: int, map_: AttributionMap, path: Path) -> bool:
        """Write a map on the grid of its scan, where it is not there already.

        Parameters
        ----------
        row : int
            Of the scan in the cohort.
        map_ : AttributionMap
            On the study's grid.
        path : path
            Where that lies.

        Returns
        -------
        bool
            Whether it was written.
        """
        self.count += 1
        name = path.relative_to(self.study.folder).as_posix().removesuffix(".nii.gz")
        told = self.study.read_json(f"{name}.json")
        origin = self.origins[row]
        asked = {"of": told["request"], **origin.to_dict()}
        place = self.study.own_grid_place(path)
        there = self.study.find_json(f"{place}_statmap.json", asked)
        if there and self.study.find_file(f"{place}_statmap.nii.gz"):
            return False
        carried = origin.prepared(self.cohort[row]).to_scan(map_)
        label = METHODS[map_.method].info.label
        self.study.write_on_own_grid(carried, place, label, asked, told["Network"])
        return True
