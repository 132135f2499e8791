"""Whether an atlas that the study names regions by lies on its brains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxplain.cohort import ATLASES, load_atlas
from voxplain.cohort.prepare.templates import mni152_brain_mask
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.confounding import is_there
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.results.trust import Measurement
from voxplain.trust.displacement import displacement

__all__ = ["ATLAS", "atlases_of"]

_MOST_SCANS = 30


def atlases_of(case: Case) -> list[str]:
    """List the atlases that maps of regions, or group tests of the study, were made with."""
    named = []
    for maps in case.methods.values():
        told = maps.options.get("regions")
        if isinstance(told, str) and told.startswith("atlas "):
            named.append(told.removeprefix("atlas ").partition(",")[0])
    for start in case.study.read_json("group.json").get("tests", {}):
        request = case.study.read_json(f"{start}_test.json").get("request", {})
        named.append(str(request.get("atlas", "none")))
    return sorted({one for one in named if one != "none"})


def _run(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    del plan
    named = atlases_of(case)
    known = [one for one in named if one in ATLASES]
    if not known:
        why = f"The study does not keep {', '.join(named)}, whose place would be looked at."
        return [Measurement("atlas", None, None, why)] if named else []
    rows = case.sample(len(case.cohort), _MOST_SCANS)
    there = np.zeros(case.cohort.grid.shape)
    grid = case.cohort.grid
    # Labels leave out some of the brain, so that their outline lies beside that of the template.
    template = mni152_brain_mask(grid)
    with progress.step("Holding the atlas against the brains", len(known) + 1) as advance:
        for row in rows:
            there += is_there(case.cohort.load(row)) / len(rows)
        advance(1)
        found = {}
        for done, name in enumerate(known, start=2):
            atlas = load_atlas(name)
            found[name] = displacement(atlas, there, grid) - displacement(atlas, template, grid)
            advance(done)
    worst = max(found, key=lambda name: float(np.linalg.norm(found[name])))
    distance = float(np.linalg.norm(found[worst]))
    right, front, up = found[worst]
    words = (
        f"{worst} would lie on the mean brain as on its template if it were moved by "
        f"{distance:.1f} mm "
        f"({right:+.0f} mm right, {front:+.0f} front, {up:+.0f} up)."
    )
    figures = {name: shift.tolist() for name, shift in found.items()}
    return [Measurement("atlas", None, distance, words, figures=figures)]


def _reads(case: Case) -> Mapping[str, Any]:
    return {
        "scans": case.scans_sha256,
        "grid": case.cohort.grid.to_dict(),
        "atlases": atlases_of(case),
        "seed": case.seed,
    }


ATLAS = Test("atlas", ("atlas",), "Where the atlas lies", _run, _reads)
