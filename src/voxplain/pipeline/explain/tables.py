"""Tables of regions of a study's maps: of each method and target, of all scans and each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxplain.errors import remarks
from voxplain.group import RegionsOverSubjects
from voxplain.maps import AttributionMap
from voxplain.pipeline.brain import brain_of
from voxplain.pipeline.explain.judging import MadeMap
from voxplain.pipeline.regions.placing import PlacedAtlas, place_atlases
from voxplain.pipeline.regions.tables import best_regions, write_regions
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
        See `voxplain.pipeline.regions.placing.place_atlases`.
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
            self.placed: list[PlacedAtlas] = place_atlases(atlases, tissue, cohort.grid, move=move)
        for one in said:
            progress.say(one)

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
        for one in maps:
            values = AttributionMap.load(one.path).values
            for name in {"all", classes[one.row]} & sums.keys():
                sums[name].add(values, people[one.row])
        found = []
        start = str(told["map"]).removesuffix("_statmap.nii.gz")
        for number, placed in enumerate(self.placed):
            frames = []
            for name, summed in sums.items():
                frame = summed.table(number, "", str(told["target"])).frame
                frame.insert(0, "class", name)
                frames.append(frame)
            whole = pd.concat(frames, ignore_index=True)
            about = {"map": told["map"], "unit": told["unit"], "atlas": placed.told()}
            place = f"{start}_atlas-{spelled(placed.atlas.name)}"
            files = write_regions(self.study, place, whole, about, self.latex)
            found.append(
                {"atlas": placed.atlas.name, "table": files[0], "best": best_regions(whole)}
            )
        return found
