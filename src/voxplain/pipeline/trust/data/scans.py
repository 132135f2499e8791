"""Whether the scans, and their split into folds, are sound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.fit import find_groups
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.results.trust import Measurement
from voxplain.trust.integrity import coarse, copies, jumps, sides, wrapped

__all__ = ["SCANS"]

_SITES = ("site", "site_id", "scanner", "scanner_id")
_FEWEST = 8
_SHOWN = 3
_IN_MEMORY = 1 << 27


def _run(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    del plan
    found = [_split(case), *_masks(case)]
    grid, brain = case.cohort.grid, case.brain
    inside = coarse(brain.astype(np.float32), grid.voxel_size) > 0.5
    small, shares = _room(case, inside.shape), []
    with progress.step("Looking for faults of the scans", len(case.cohort)) as advance:
        for done, volume in enumerate(case.cohort, start=1):
            small[done - 1] = coarse(volume.values, grid.voxel_size)
            shares.append(jumps(volume.values, brain))
            advance(done)
    found.append(_duplicates(case, small.reshape(len(small), -1), inside.ravel()))
    far = np.flatnonzero(wrapped(np.asarray(shares)))
    words = (
        f"Neighbours jump in {_named(case, far)} in {max(shares):.0%} of pairs, in others in "
        f"{np.median(shares):.1%}."
        if len(far)
        else f"Neighbours jump in at most {max(shares):.1%} of pairs."
    )
    found.append(Measurement("intensities", None, len(far), words, figures={"jumps": shares}))
    if len(small) < _FEWEST:
        words = f"{_FEWEST} scans or more are needed to know the sides of a brain."
        return [*found, Measurement("left-right", None, None, words)]
    axis = int(np.flatnonzero(io_orientation(grid.affine)[:, 0] == 0)[0])
    swapped = sides([*small], axis)
    if swapped is None:
        words = "These brains are too symmetric for telling their sides apart."
        return [*found, Measurement("left-right", None, None, words)]
    mirrored = np.flatnonzero(swapped)
    words = (
        f"{_named(case, mirrored)} {'is' if len(mirrored) == 1 else 'are'} more like the others "
        "once mirrored."
        if len(mirrored)
        else "All scans have the same sides."
    )
    return [*found, Measurement("left-right", None, len(mirrored), words)]


def _split(case: Case) -> Measurement:
    """Count scans of participants or families who are on both sides of a split."""
    table = case.cohort.participants
    people = table.drop(columns=[c for c in table.columns if str(c).lower() in _SITES])
    groups, _ = find_groups(people, case.outcome, len(case.fits))
    if groups is None:
        return Measurement("split", None, 0, "No two scans belong to one participant or family.")
    split = [
        row for row in range(len(groups)) if len(np.unique(case.fold_of[groups == groups[row]])) > 1
    ]
    words = (
        f"{len(split)} of {len(groups)} scans have others of their participant or family in "
        f"another fold, such as {case.cohort.subjects[split[0]]}."
        if split
        else "Scans of one participant or family are in one fold."
    )
    return Measurement("split", None, len(split), words, figures={"scans": split})


def _masks(case: Case) -> list[Measurement]:
    """Tell whether the masks of `voxplain reclassify` knew the scans that they were tested on."""
    told = case.study.read_json("summary.json").get("reclassify")
    if not told:
        return []
    leaky = bool((told.get("options") or {}).get("leaky"))
    words = (
        "The masks of 'voxplain reclassify' were made of all scans, held-out ones included."
        if leaky
        else "Masks were made of training scans."
    )
    return [Measurement("masks", None, int(leaky), words)]


def _room(case: Case, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Give an array for a coarse copy of each scan: in memory, or on the disk of the study."""
    count, size = len(case.cohort), math.prod(shape)
    if 4 * count * size > _IN_MEMORY:
        return case.study.scratch((count, size)).reshape(count, *shape)
    return np.zeros((count, *shape), dtype=np.float32)


def _duplicates(case: Case, scans: NDArray[np.float32], inside: NDArray[np.bool_]) -> Measurement:
    people = case.cohort.participants["participant_id"].astype(str).tolist()
    pairs = [(i, j, r) for i, j, r in copies(scans, inside) if people[i] != people[j]]
    rows = sorted({j for _, j, _ in pairs})
    names = case.cohort.subjects
    words = "No scan is another participant's."
    if pairs:
        i, j, r = pairs[0]
        words = f"{names[j]} is the same brain as {names[i]} (r = {r:.3f})"
        words += f", and {len(rows) - 1} more are copies." if len(rows) > 1 else "."
    figures = {"pairs": [[names[i], names[j], r] for i, j, r in pairs]}
    return Measurement("duplicates", None, len(rows), words, figures=figures)


def _named(case: Case, rows: Sequence[int] | np.ndarray[Any, np.dtype[np.int64]]) -> str:
    names = [case.cohort.subjects[int(row)] for row in rows]
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _reads(case: Case) -> Mapping[str, Any]:
    if len(case.cohort) < 2:
        raise InputError("Two scans or more are needed.")
    told = case.study.read_json("summary.json").get("reclassify") or {}
    return {
        "scans": case.scans_sha256,
        "table": case.table_sha256,
        "folds": case.predictions_sha256,
        "masks": (told.get("options") or {}).get("leaky"),
    }


SCANS = Test(
    "scans",
    ("split", "duplicates", "intensities", "left-right", "masks"),
    "The scans and their split",
    _run,
    _reads,
)
