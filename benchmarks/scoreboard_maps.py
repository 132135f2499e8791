"""What is measured of the scoreboard's maps beside what ``voxplain explain STUDY`` tells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.attribution.methods import make_method
from voxplain.cohort import read_volume
from voxplain.maps import AttributionMap
from voxplain.pipeline.truth import read_truth
from voxplain.trust import FWHM_MM, localise, strength

__all__ = ["magnitudes", "maps_of", "suppressor_shares"]


def maps_of(study: Path, method: str) -> list[Path]:
    """Find the maps of single scans that a method wrote.

    Parameters
    ----------
    study : path
    method : str

    Returns
    -------
    list of path
    """
    return [
        sidecar.with_name(sidecar.name.replace(".json", ".nii.gz"))
        for sidecar in sorted(study.glob("maps/sub-*/*_statmap.json"))
        if json.loads(sidecar.read_text())["Method"] == method
    ]


def magnitudes(study: Path, methods: Sequence[str], case: str) -> dict[str, float]:
    """Average precision of the mean over cases of each map's magnitude.

    Signed maps of an interaction cancel in the mean: a voxel speaks for the class in one case and
    against it in the next.

    Parameters
    ----------
    study : path
    methods : sequence of str
    case : str
        Class with the effect.

    Returns
    -------
    dict
        By method.
    """
    truth = read_truth(study)
    found: dict[str, float] = {}
    if truth is None:
        return found
    for name in methods:
        width = 0.0 if make_method(name).smooth_mm else FWHM_MM
        every = [AttributionMap.load(path) for path in maps_of(study, name)]
        cases = [strength(one.values, one.grid, width) for one in every if one.target == case]
        known = truth.known
        found[name] = localise(np.mean(cases, axis=0), known.support, known.brain).average_precision
    return found


def suppressor_shares(study: Path, groups: Mapping[str, Any]) -> dict[str, float] | None:
    """Share of each mean map's magnitude in the brain that lies on the suppressor.

    Parameters
    ----------
    study : path
    groups : mapping
        What `voxplain explain` told of each method's mean map.

    Returns
    -------
    dict or None
        By method, and the suppressor's share of the brain; None where there is no suppressor.
    """
    path = study / "phantom" / "template_desc-suppressor_mask.nii.gz"
    if not path.exists():
        return None
    decoy = read_volume(path).values > 0.5
    brain = read_volume(path.with_name("template_desc-brain_mask.nii.gz")).values > 0.5
    shares = {}
    for name in groups:
        mean = read_volume(study / groups[name]["map"])
        width = 0.0 if make_method(name).smooth_mm else FWHM_MM
        size = strength(mean.values, mean.grid, width)
        shares[name] = float(size[decoy & brain].sum() / size[brain].sum())
    return shares | {"its share of the brain": float(np.mean(decoy[brain]))}
