"""Where the maps of a study lie: the mean scan, the brain, and an atlas that fits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from voxplain.atlas import Atlas
from voxplain.cohort import fsaverage, load_atlas
from voxplain.cortex import Cortex
from voxplain.grid import Grid
from voxplain.group import OUTSIDE
from voxplain.progress import Progress
from voxplain.results.regions import Peak
from voxplain.volume import Cohort

__all__ = ["Place", "look_around"]

_KEPT, _COVERED, _ON_CORTEX = 0.5, 0.3, 0.9
_HEAD_ML: Final = 2200.0
_BRIGHT: Final = 0.3
"""Of a mean scan's bright end: brains that are blurred by large voxels are smaller above it than
2200 mL (1,400 to 1,950), heads of IXI larger (2,800 to 3,600)."""
_PEAKS, _APART_MM = 6, 16.0


@dataclass(frozen=True, eq=False)
class Place:
    """What the maps of a study lie on.

    Parameters
    ----------
    grid : Grid
    anatomy : array (X, Y, Z)
        Mean scan.
    brain : array (X, Y, Z), bool
        Where half of the scans or more are not zero.
    atlas : Atlas or None
        On the grid.
    cortex : Cortex or None
        None where the scans are not in MNI space.
    off_cortex : str
        Why there is none.
    remarks : tuple of str
    """

    grid: Grid
    anatomy: NDArray[np.float32]
    brain: NDArray[np.bool_]
    atlas: Atlas | None
    cortex: Cortex | None = None
    off_cortex: str = ""
    remarks: tuple[str, ...] = ()

    def region(self, voxel: Sequence[int]) -> str:
        """Name the region of a voxel; nothing without an atlas."""
        if self.atlas is None:
            return ""
        label = int(self.atlas.labels[tuple(voxel)])
        return self.atlas.names.get(label, OUTSIDE)

    def peaks(self, values: NDArray[np.float32]) -> tuple[Peak, ...]:
        """List the largest local maxima of a map's magnitude in the brain, 16 mm apart."""
        magnitude = np.where(self.brain, np.abs(values), 0)
        tops = (ndimage.maximum_filter(magnitude, 3) == magnitude) & (magnitude > 0)
        order = np.argwhere(tops)[np.argsort(-magnitude[tops], kind="stable")]
        places = self.grid.to_world(order)
        found: list[int] = []
        for i, place in enumerate(places):
            if all(np.linalg.norm(place - places[j]) >= _APART_MM for j in found):
                found.append(i)
            if len(found) == _PEAKS:
                break
        return tuple(
            Peak(
                (float(places[i][0]), float(places[i][1]), float(places[i][2])),
                float(values[tuple(order[i])]),
                self.region(order[i]),
            )
            for i in found
        )


def look_around(cohort: Cohort, atlas: str, progress: Progress) -> Place:
    """Find the mean scan and the brain, and lay an atlas on them.

    Parameters
    ----------
    cohort : Cohort
        Read once, scan by scan.
    atlas : str
        Name, or ``none``. One whose regions cover less than a third of the brain is left out, and
        any of whole heads, which the remarks say.
    progress : Progress
    """
    total = np.zeros(cohort.grid.shape)
    counts = np.zeros(cohort.grid.shape, dtype=np.int64)
    with progress.step("The mean scan", len(cohort)) as advance:
        for i in range(len(cohort)):
            values = cohort.load(i)
            total += values
            counts += values != 0
            advance(i + 1)
    brain = counts >= _KEPT * len(cohort)
    mean = (total / len(cohort)).astype(np.float32)
    bright = mean > _BRIGHT * np.percentile(mean[brain], 98) if brain.any() else brain
    volume_ml = bright.sum() * cohort.grid.voxel_volume / 1000
    if volume_ml > _HEAD_ML:
        why = (
            f"the scans fill {volume_ml:,.0f} mL, like whole heads, which do not tell where the "
            "brain is; 'voxplain cohort' takes masks, or finds the brain with --skull-strip"
        )
        remarks = (f"Regions are not named: {why}.",) if atlas != "none" else ()
        return Place(cohort.grid, mean, brain, None, None, why, remarks)
    laid: Atlas | None = None
    remarks = ()
    if atlas != "none":
        laid = load_atlas(atlas).on(cohort.grid)
        covered = float((laid.labels[brain] > 0).mean()) if brain.any() else 0.0
        if covered < _COVERED:
            laid = None
            remarks = (
                f"Regions are not named: those of {atlas} cover {100 * covered:.0f} % of the "
                "brain alone, so that the scans are not in MNI space.",
            )
    cortex = fsaverage()
    share = cortex.within(brain, cohort.grid)
    if share >= _ON_CORTEX:
        return Place(cohort.grid, mean, brain, laid, cortex, remarks=remarks)
    why = (
        f"{100 * share:.0f} % of the average cortex of MNI space lies in the brain of the scans, "
        "so that they are not in MNI space"
    )
    if laid is not None:
        remarks = (f"Names of regions are to be taken with care: {why}.",)
    return Place(cohort.grid, mean, brain, laid, None, why, remarks)
