"""The truth of a phantom study: written beside its cohort, read by what is judged by it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxplain.cohort import read_volume
from voxplain.maps import GroupMap
from voxplain.phantom import Phantom
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.trust import FWHM_MM, chance_of, localise, strength
from voxplain.volume import Cohort

__all__ = ["Truth", "read_truth", "write_planted", "write_truth"]

_EFFECT, _BRAIN = "phantom/template_desc-effect_mask", "phantom/template_desc-brain_mask"
_DECOY = "phantom/template_desc-suppressor_mask"
_CHANGE = "phantom/template_desc-effect_statmap"


class Truth(NamedTuple):
    """Where the effect of a phantom acts, in the template.

    Parameters
    ----------
    support, brain : array (X, Y, Z), bool
    """

    support: NDArray[np.bool_]
    brain: NDArray[np.bool_]

    def judge(self, map_: GroupMap, seed: int) -> dict[str, float]:
        """Give a mean map's average precision, smoothed as the demo's maps are, and chance's."""
        score = strength(map_.values, map_.grid, FWHM_MM)
        found = localise(score, self.support, self.brain)
        null = chance_of(map_.values, self.support, self.brain, map_.grid, FWHM_MM, seed)
        return {
            "average_precision": found.average_precision,
            "chance_ap": found.chance_ap,
            "chance_ap_95": null.percentile_95,
        }


def write_truth(study: Study, phantom: Phantom, progress: Progress) -> None:
    """Write where the effect acts: in the template, and in each subject's own anatomy.

    Parameters
    ----------
    study : Study
    phantom : Phantom
    progress : Progress
    """
    grid, subjects = phantom.cohort.grid, phantom.cohort.subjects
    with progress.step("Writing the truth", len(subjects)) as advance:
        for i, subject in enumerate(subjects):
            name = f"phantom/sub-{subject}/anat/sub-{subject}_desc-effect_mask"
            study.write_volume(name, phantom.own_supports[i], grid)
            advance(i + 1)
    study.write_volume("phantom/template_T1w", phantom.template.values, grid)
    study.write_volume(_BRAIN, phantom.brain, grid)
    if phantom.decoy.any():
        study.write_volume(_DECOY, phantom.decoy, grid)
    study.write_volume(_EFFECT, phantom.support, grid)


def write_planted(
    study: Study,
    spiked: Cohort,
    without: Cohort,
    support: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    progress: Progress,
) -> None:
    """Write where an effect was planted in given scans, and what it changes on average.

    Parameters
    ----------
    study : Study
    spiked, without : Cohort
        The same scans with and without the effect; of the last class with the effect.
    support : array (X, Y, Z), bool
        Voxels of the region.
    brain : array (X, Y, Z), bool
    progress : Progress
    """
    cases = np.flatnonzero(spiked.labels == len(spiked.class_names) - 1)
    change, mean = np.zeros(spiked.grid.shape), np.zeros(spiked.grid.shape)
    with progress.step("Writing the truth", len(cases)) as advance:
        for done, i in enumerate(cases, start=1):
            before = without.load(int(i))
            change += spiked.load(int(i)) - before
            mean += before
            advance(done)
    grid, count = spiked.grid, len(cases)
    study.write_volume("phantom/template_T1w", (mean / count).astype(np.float32), grid)
    study.write_volume(_CHANGE, (change / count).astype(np.float32), grid)
    study.write_volume(_BRAIN, brain, grid)
    study.write_volume(_EFFECT, support, grid)


def read_truth(study: Path) -> Truth | None:
    """Return the truth of a phantom with an effect; None where there is no such phantom."""
    paths = [study / f"{name}.nii.gz" for name in (_EFFECT, _BRAIN)]
    if not all(path.exists() for path in paths):
        return None
    return Truth(*(read_volume(path).values > 0.5 for path in paths))
