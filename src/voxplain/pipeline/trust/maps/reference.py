"""Whether what a method puts in a scan's place takes the evidence away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from voxplain.attribution.method import Method
from voxplain.attribution.methods import make_method
from voxplain.attribution.scoring import scan_score
from voxplain.errors import VoxplainError
from voxplain.pipeline.trust.case import Case, StudyMap
from voxplain.pipeline.trust.maps.again import Maker
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.results.trust import Measurement

__all__ = ["REFERENCE", "share_left"]

_SCANS = 12
_FEWEST = 3
_KEPT = 0.5


def _run(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    del plan
    if not case.outcome.class_names:
        return []
    found: list[Measurement] = []
    with progress.step("Looking at references", max(1, len(case.methods))) as advance:
        for done, name in enumerate(case.methods, start=1):
            try:
                found += _of_method(case, name)
            except VoxplainError as error:
                found.append(Measurement("reference", name, None, str(error)))
            advance(done)
    return found


def _of_method(case: Case, name: str) -> list[Measurement]:
    """Score the references of some scans; nothing where the method has none."""
    maps = case.methods[name]
    if "reference" not in maps.options or not maps.maps:
        return []
    maker = Maker(case, name)
    method = make_method(name, maker.options)
    kept: dict[str, list[float]] = {}
    for i in case.sample(len(maps.maps), _SCANS):
        share = _kept(case, maker, maps.maps[i], method)
        if share is not None:
            kept.setdefault(str(maps.maps[i].sidecar["Target"]), []).append(share)
    count = sum(map(len, kept.values()))
    if count < _FEWEST:
        why = f"{_FEWEST} scans are needed to which the network gives the target; {count} were."
        return [Measurement("reference", name, None, why)]
    left = share_left(kept)
    middle = float(np.median([one for some in kept.values() for one in some]))
    words = (
        f"Of {count} scans, {left:.0%} (mean over targets) keep more than half of the target's "
        f"log-odds when the whole scan is replaced by the reference; the typical one keeps "
        f"{max(middle, 0):.0%}."
    )
    return [Measurement("reference", name, left, words, figures={"kept": kept})]


def share_left(kept: Mapping[str, Sequence[float]]) -> float:
    """Share of the scans that keep more than half of their target's log-odds, mean over targets.

    An empty image is of one class for the network: scans of that class keep it.

    Parameters
    ----------
    kept : mapping of str to sequence of float
        By target, the share that the reference keeps of each scan's log-odds.
    """
    return float(np.mean([np.mean([one > _KEPT for one in some]) for some in kept.values()]))


def _kept(case: Case, maker: Maker, one: StudyMap, method: Method) -> float | None:
    """Share of the target's log-odds that the reference keeps; None where the scan has none."""
    score = scan_score(
        maker.network(one.fold),
        case.cohort[one.row],
        maker.settled(one.row),
        case.outcome.class_names,
        case.engine,
    )
    given: Any = method
    kind = "blur" if getattr(given, "path", "") == "blur" else given.reference
    width = float(getattr(given, "blur", 0.0))
    if getattr(given, "units", "mm") == "voxel":
        width *= float(np.mean(case.cohort.grid.voxel_size))
    references = score.references({"own": kind}, width)
    images = np.stack([case.cohort.load(one.row), references["own"]])[:, None]
    full, empty = score(torch.from_numpy(images)).tolist()
    return empty / full if full > 0 else None


def _reads(case: Case) -> Mapping[str, Any]:
    return {
        "weights": case.weights_sha256,
        "scans": case.scans_sha256,
        "maps": {name: case.maps_sha256(name) for name in case.methods},
        "seed": case.seed,
    }


REFERENCE = Test("reference", ("reference",), "What takes the scan's place", _run, _reads)
