"""Tables of regions of a study's maps: of each method and target, of all scans and each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxplain.cohort.atlases import OWN
from voxplain.cohort.store.origins import read_origins
from voxplain.errors import remarks
from voxplain.group import RegionsOverSubjects
from voxplain.maps import RegionTable
from voxplain.pipeline.brain import brain_of
from voxplain.pipeline.explain.study.judging import MadeMap
from voxplain.pipeline.regions.own import OwnRegions
from voxplain.pipeline.regions.placing import PlacedAtlas, place_atlases
from voxplain.pipeline.regions.tables import best_regions, by_rank, write_regions
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.study.names import spelled
from voxplain.volume import Cohort

__all__ = ["StudyRegions"]


class StudyRegions:
    """Sums up the maps of a study by the regions of atlases.

    Parameters
    ----------
    study : Study
    cohort : Cohort
    atlases : sequence of str
        See `voxplain.pipeline.regions.placing.place_atlases`; also ``"own"``.
    latex, move : bool
    seed : int
        Of the bootstrap.
    progress : Progress
    """

    def __init__(
        self,
        study: Study,
        cohort: Cohort,
        atlases: Sequence[str],
        *,
        latex: bool,
        move: bool,
        seed: int,
        progress: Progress,
    ) -> None:
        self.study, self.cohort, self.latex, self.seed = study, cohort, latex, seed
        self.progress = progress
        rows = range(len(cohort))
        self.brain: NDArray[np.bool_] = brain_of(cohort, rows, progress)
        tissue = np.where(self.brain, cohort.mean(np.arange(len(cohort))), 0).astype(np.float32)
        with remarks() as said:
            shared = [name for name in atlases if name != OWN]
            self.placed: list[PlacedAtlas] = place_atlases(shared, tissue, cohort.grid, move=move)
        for one in said:
            progress.say(one)
        self.own: OwnRegions | None = None
        if OWN in atlases:
            origins = read_origins(study.folder / "cohort")
            self.own = OwnRegions(cohort, origins, seed, progress)

    def write(self, told: Mapping[str, Any], maps: Sequence[MadeMap]) -> list[dict[str, Any]]:
        """Write the tables of one mean map; return their files and the densest regions.

        Parameters
        ----------
        told : mapping
            Of the mean map, as ``explain.json`` holds it.
        maps : sequence of MadeMap
            That it is the mean of.
        """
        classes = self.cohort.participants["label"].astype(str).tolist()
        people = self.cohort.participants["participant_id"].astype(str).tolist()
        held = sorted({classes[one.row] for one in maps} & set(self.cohort.class_names))
        groups = ["all", *(held if len(held) > 1 else [])]
        atlases = [one.atlas for one in self.placed]
        sums = {
            name: RegionsOverSubjects(atlases, self.brain, self.cohort.grid, self.seed)
            for name in groups
        }
        own: dict[int, RegionTable] = {}
        for one in maps:
            values = self.study.load_map(one.path).values
            for name in {"all", classes[one.row]} & sums.keys():
                sums[name].add(values, people[one.row])
            if self.own and (table := self.own.table(one.row, values, str(told["target"]))):
                own[one.row] = table
        found = []
        for number, placed in enumerate(self.placed):
            frames = {
                name: summed.table(number, "", str(told["target"])).frame
                for name, summed in sums.items()
            }
            found.append(self._written(told, placed.told(), frames))
        if self.own and own:
            self.own.tell()
            rows = {name: [r for r in own if name in ("all", classes[r])] for name in groups}
            frames = {
                name: self.own.summed([own[row] for row in some], some)
                for name, some in rows.items()
                if some
            }
            found.append(self._written(told, self.own.told(), frames))
        return found

    def _written(
        self, told: Mapping[str, Any], atlas: Mapping[str, Any], frames: dict[str, pd.DataFrame]
    ) -> dict[str, Any]:
        for name, frame in frames.items():
            frame.insert(0, "class", name)
        whole = by_rank(pd.concat(frames.values(), ignore_index=True))
        about = {"map": told["map"], "unit": told["unit"], "atlas": atlas}
        start = str(told["map"]).removesuffix("_statmap.nii.gz")
        place = f"{start}_atlas-{spelled(str(atlas['name']))}"
        files = write_regions(self.study, place, whole, about, self.latex)
        return {"atlas": atlas["name"], "table": files[0], "best": best_regions(whole)}
