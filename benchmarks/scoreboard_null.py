"""How many maps are called better than chance where there is nothing to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.attribution.methods import make_method
from voxplain.cohort import load_atlas, mni152_template
from voxplain.maps import AttributionMap
from voxplain.phantom import Maker, make_scenario
from voxplain.trust import FWHM_MM, chance_of, localise, strength
from voxplain.volume import Cohort

__all__ = ["called_better"]

_MAPS = 40


def called_better(
    cohort: Cohort, maps: Mapping[str, Sequence[Path]], seed: int
) -> dict[str, dict[str, Any]]:
    """Hold maps of a phantom without an effect against the place where others have theirs.

    Parameters
    ----------
    cohort : Cohort
    maps : mapping of str to sequence of path
        By method; forty of single scans are taken.
    seed : int

    Returns
    -------
    dict of str to dict
        By method: how many maps exceed 95 % of random maps, of how many, and whether the mean map
        of each class does.
    """
    scenario = make_scenario("additive")
    scenario = replace(scenario, grid=cohort.grid)
    place = Maker(2, mni152_template(), load_atlas("AAL"), scenario, seed)
    found = {}
    for name, paths in maps.items():
        width = 0.0 if make_method(name).smooth_mm else FWHM_MM

        def better(values: Any, number: int, width: float = width) -> bool:
            score = strength(values, cohort.grid, width)
            null = chance_of(values, place.support, place.brain, cohort.grid, width, seed + number)
            reached = localise(score, place.support, place.brain).average_precision
            return bool(reached > null.percentile_95)

        every = [AttributionMap.load(path) for path in paths]
        step = max(1, len(every) // _MAPS)
        single = [better(one.values, i) for i, one in enumerate(every[::step][:_MAPS])]
        targets = sorted({one.target for one in every})
        means = [
            better(np.mean([m.values for m in every if m.target == target], axis=0), 1000)
            for target in targets
        ]
        found[name] = {
            "better": sum(single),
            "maps": len(single),
            "means_better": sum(means),
            "means": len(means),
        }
    return found
