"""The null of networks that learnt nothing: the largest t that their maps give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.errors import InputError
from voxplain.group.design import Design
from voxplain.group.permutation import Discoveries, Inference, Residuals
from voxplain.pipeline.group.maps import MapsOfScans, catalogue
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.study.reading import StudyReader

__all__ = ["against_studies"]


def against_studies(
    found: Inference,
    maps: MapsOfScans,
    design: Design,
    mask: NDArray[np.bool_],
    fwhm: float,
    studies: Sequence[Path],
    progress: Progress,
) -> Inference:
    """Compare a t map with the largest t of each study whose networks learnt nothing.

    It answers whether such networks' maps differ as much between the same subjects, as they may,
    since images differ. Voxels alone are tested, and true discoveries are not counted.

    Parameters
    ----------
    found : Inference
        Of the study's own maps.
    maps : MapsOfScans
        The same.
    design : Design
    mask : array (X, Y, Z), bool
    fwhm : float, mm
    studies : sequence of path
        Of the same scans, with maps of the same method and target.
    progress : Progress

    Returns
    -------
    Inference

    Raises
    ------
    InputError
        If a study lacks such maps.
    """
    largest = []
    for folder in studies:
        if StudyReader(folder).find_file("dataset_description.json") is None:
            raise InputError(f"--null-study {folder} is no study; give one with maps.")
        study = Study(folder, "voxplain study", __version__)
        theirs = catalogue(study, design.subjects, None).of(maps.method, maps.target)
        if not theirs.grid.same_as(maps.grid):
            raise InputError(f"The maps of {folder} lie on another grid than the study's.")
        values = theirs.array(mask, fwhm, progress)
        largest.append(float(np.abs(Residuals.of(values, design).t).max()))
    null = np.array(largest)
    reached = (null[:, None] >= np.abs(found.t)).sum(axis=0)
    return replace(
        found,
        p={"voxel": (reached + 1) / (len(null) + 1)},
        null={"voxel": null},
        cluster_p={},
        discoveries=Discoveries(found.discoveries.p, 0.0),
        permutations=len(null),
        complete=False,
    )
