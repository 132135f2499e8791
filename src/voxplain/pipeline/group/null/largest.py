"""The null of networks that learnt nothing: the largest statistics that their maps give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.errors import InputError
from voxplain.group.design import Design
from voxplain.group.permutation import Discoveries, Inference, Residuals
from voxplain.group.permutation.spatial import Space
from voxplain.pipeline.group.sample.maps import MapsOfScans, Scans, catalogue
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.study.reading import StudyReader

__all__ = ["QUESTIONS", "against_studies"]

QUESTIONS = {
    "permutation": "Do maps differ between these participants more than if they changed places? "
    "Images that differ make maps differ, whatever the network learnt.",
    "labels": "Do maps differ more than those of networks that were trained on permuted labels, "
    "which saw the same images and learnt nothing of the classes?",
    "untrained": "Do maps differ more than those of untrained networks, which learnt nothing of "
    "the images either?",
}
"""What each null answers."""


def against_studies(
    found: Inference,
    maps: MapsOfScans,
    design: Design,
    mask: NDArray[np.bool_],
    fwhm: float,
    folders: Mapping[Path, str],
    scans: Scans,
    progress: Progress,
) -> Inference:
    """Compare a test with the largest statistics of maps of networks that learnt nothing.

    Such networks' maps differ between the same subjects too, since images differ. True discoveries
    are not counted.

    Parameters
    ----------
    found : Inference
        Of the study's own maps.
    maps : MapsOfScans
        The same.
    design : Design
    mask : array (X, Y, Z), bool
    fwhm : float, mm
    folders : mapping of path to str
        Studies with maps of the same scans, method and target, and the network of each.
    scans : Scans
    progress : Progress

    Returns
    -------
    Inference

    Raises
    ------
    InputError
        If a study lacks such maps.
    """
    space = Space(mask)
    null: dict[str, list[float]] = {name: [] for name in found.p}
    for folder, network in folders.items():
        if StudyReader(folder).find_file("dataset_description.json") is None:
            raise InputError(f"--null-study {folder} is no study; give one with maps.")
        study = Study(folder, "voxplain study", __version__)
        theirs = catalogue(study, scans.subjects, network or None).of(
            maps.method, maps.target, maps.grid
        )
        if theirs.ways:
            raise InputError(f"The maps of {folder} lie on another grid than the study's.")
        values = theirs.array(mask, fwhm, progress, scans.units)
        t = Residuals.of(values, design, theirs.allocate(len(values), mask)).t.astype(np.float32)
        size, mass = space.largest(t, found.threshold)
        largest = {"voxel": float(np.abs(t).max()), "size": size, "mass": mass}
        if "tfce" in null:
            largest["tfce"] = float(np.abs(space.tfce(t)).max())
        for name, each in null.items():
            each.append(largest[name])
    largest_of = {name: np.array(each) for name, each in null.items()}
    p, by_cluster = {}, {}
    for name, reached in largest_of.items():
        if name in ("size", "mass"):
            own = np.array([float(getattr(one, name)) for one in found.clusters])
            by_cluster[name] = _counted(own, reached)
            p[name] = np.ones(len(found.t))
            for cluster, value in zip(found.clusters, by_cluster[name], strict=True):
                p[name][cluster.voxels] = value
        else:
            enhanced = found.tfce if name == "tfce" else None
            own = np.abs(found.t if enhanced is None else enhanced).astype(np.float64)
            p[name] = _counted(own, reached)
    return replace(
        found,
        p=p,
        null=largest_of,
        cluster_p=by_cluster,
        discoveries=Discoveries(found.discoveries.p, 0.0),
        permutations=len(folders),
        complete=False,
    )


def _counted(values: NDArray[np.float64], null: NDArray[np.float64]) -> NDArray[np.float64]:
    reached = (null[:, None] >= values).sum(axis=0)
    return np.asarray((reached + 1) / (len(null) + 1), dtype=np.float64)
