"""The truth of a phantom study: written beside its cohort, read by what is judged by it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxplain.cohort import read_volume
from voxplain.cohort.store.reader import STORE, open_store
from voxplain.phantom import Made, Maker, Phantom, background_of
from voxplain.progress import Progress
from voxplain.study import Study, StudyReader
from voxplain.trust import KnownTruth
from voxplain.volume import Cohort

__all__ = ["OwnTruths", "Truth", "TruthWriter", "read_truth", "write_planted", "write_truth"]

_EFFECT, _BRAIN = "phantom/template_desc-effect_mask", "phantom/template_desc-brain_mask"
_DECOY = "phantom/template_desc-suppressor_mask"
_CHANGE = "phantom/template_desc-effect_statmap"
_WITHOUT = "phantom/without_effect"


class Truth(NamedTuple):
    """Where the effect of a phantom acts, in the template, and what it changes on average.

    Parameters
    ----------
    support, brain : array (X, Y, Z), bool
    change : array (X, Y, Z), optional
        The population effect map; None in studies of earlier versions.
    """

    support: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    change: NDArray[np.float32] | None = None

    @property
    def known(self) -> KnownTruth:
        """The truth that group maps are held against.

        What lies outside the brain, as a mark does, is looked for in the brain and there.
        """
        outside = not (self.support & self.brain).any()
        brain = self.brain | self.support if outside else self.brain
        return KnownTruth(self.support, brain, self.change)


class OwnTruths:
    """The truth of each scan of a study, in its own anatomy.

    Parameters
    ----------
    study : path
    cohort : Cohort
        The study's.
    truth : Truth
        Of the template, which holds where no scan has one of its own, as in a spike-in.
    """

    def __init__(self, study: Path, cohort: Cohort, truth: Truth) -> None:
        self.reader, self.cohort, self.truth = StudyReader(study), cohort, truth
        there = self.reader.find_file(f"{_WITHOUT}/{STORE}")
        self._bare = None if there is None else open_store(there.parent)

    def of(self, row: int, image: NDArray[np.float32]) -> KnownTruth | None:
        """Return the truth of a scan; None where the region is too small to fill a voxel of it.

        Parameters
        ----------
        row : int
            Its place in the cohort.
        image : array (X, Y, Z)
        """
        support = self._read(row, "effect_mask")
        place = self.truth.support if support is None else support > 0.5
        if not place.any():
            return None
        brain = image != background_of(image)
        if not (place & brain).any():
            brain = brain | place
        return KnownTruth(place, brain, self._change(row, image))

    def _change(self, row: int, image: NDArray[np.float32]) -> NDArray[np.float32] | None:
        if self._bare is not None:
            return image - self._bare.load(row)
        without = self._read(row, "withouteffect_T1w")
        return None if without is None else image - without

    def _read(self, row: int, what: str) -> NDArray[np.float32] | None:
        path = self.reader.find_file(f"{_own(self.cohort.subjects[row], what)}.nii.gz")
        return None if path is None else read_volume(path).values


class TruthWriter:
    """Writes the truth of a phantom study, subject by subject.

    Below ``phantom/`` lie the template, where its brain is, where the effect acts in it and what it
    changes on average; and for each subject where the effect acts in the own anatomy, and, for a
    case, the scan without the effect.

    Parameters
    ----------
    study : Study
    maker : Maker
    """

    def __init__(self, study: Study, maker: Maker) -> None:
        self.study, self.maker = study, maker
        self._change, self._cases = np.zeros(maker.grid.shape), 0

    def take(self, row: int, made: Made) -> None:
        """Write the truths of a subject."""
        grid, who = self.maker.grid, f"{row + 1:04d}"
        self.study.write_volume(_own(who, "effect_mask"), made.support, grid)
        if made.strength or (made.image != made.without).any():
            self.study.write_volume(_own(who, "withouteffect_T1w"), made.without, grid)
            self._change += made.change
            self._cases += 1

    def finish(self) -> None:
        """Write the truths of the template."""
        maker = self.maker
        change = (self._change / max(self._cases, 1)).astype(np.float32)
        _write_template(self.study, maker, maker.template.values, change)


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
            study.write_volume(_own(subject, "effect_mask"), phantom.own_supports[i], grid)
            advance(i + 1)
    _write_template(study, phantom, phantom.template.values, phantom.change)


def _own(subject: str, what: str) -> str:
    return f"phantom/sub-{subject}/anat/sub-{subject}_desc-{what}"


def _write_template(
    study: Study, of: Phantom | Maker, values: NDArray[np.float32], change: NDArray[np.float32]
) -> None:
    grid = of.template.grid
    study.write_volume("phantom/template_T1w", values, grid)
    study.write_volume(_CHANGE, change, grid)
    study.write_volume(_BRAIN, of.brain, grid)
    if of.decoy.any():
        study.write_volume(_DECOY, of.decoy, grid)
    study.write_volume(_EFFECT, of.support, grid)


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
    paths = [StudyReader(study).find_file(f"{name}.nii.gz") for name in (_EFFECT, _BRAIN)]
    found = [path for path in paths if path is not None]
    if len(found) < len(paths):
        return None
    support, brain = (read_volume(path).values > 0.5 for path in found)
    change = StudyReader(study).find_file(f"{_CHANGE}.nii.gz")
    return Truth(support, brain, None if change is None else read_volume(change).values)
