"""Whether maps are of this study's networks and scans, by what their files say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxplain.grid import Grid
from voxplain.images.sidecars import stored_place
from voxplain.pipeline.fit.kept import TrainingRecord
from voxplain.pipeline.maps import voxels_sha256
from voxplain.pipeline.trust.case import Case, MethodMaps, StudyMap
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.results.trust import Measurement

__all__ = ["ORIGIN"]


def _run(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    del plan, progress
    trained = [
        {
            subject
            for one in each.together
            if (told := TrainingRecord.read(case.study, one.place))
            for subject in told.train
        }
        for each in case.explainers
    ]
    scans = [voxels_sha256(volume) for volume in case.cohort]
    found = []
    for name, maps in case.methods.items():
        wrong = Counter[str](
            why for one in maps.maps if (why := _stranger(case, maps, one, scans[one.row]))
        )
        wrong["of scans that the cohort does not have"] += len(maps.strangers)
        found.append(_counted("provenance", name, maps, +wrong))
        seen = Counter(why for one in maps.maps if (why := _seen(case, one, trained)))
        found.append(_counted("held-out", name, maps, seen))
        placed = Counter(
            why for one in maps.maps if (why := _misplaced(case, one, case.cohort.grid))
        )
        found.append(_counted("grid", name, maps, placed))
        if name in _RECTIFIED and maps.maps:
            found.append(_rectifiers(name, maps))
    return found


_RECTIFIED = ("guided-backprop", "deconvolution", "guided-grad-cam")
_STOPPED = "ReLU calls"


def _rectifiers(name: str, maps: MethodMaps) -> Measurement:
    """Read how many rectifiers the method reached, least over the maps."""
    counts = []
    for one in maps.maps:
        notes = [n for n in one.sidecar["Provenance"]["notes"] if _STOPPED in n]
        numbers = [int(word) for note in notes for word in note.split() if word.isdigit()]
        counts.append(max(numbers, default=0))
    words = f"{min(counts)} of the network's rectifiers were reached."
    return Measurement("relu", name, min(counts), words)


def _counted(test: str, method: str, maps: MethodMaps, wrong: Mapping[str, int]) -> Measurement:
    total, every = sum(wrong.values()), len(maps.maps) + len(maps.strangers)
    reasons = "; ".join(f"{count} {why}" for why, count in wrong.items())
    words = f"{total} of {every} maps: {reasons}." if total else f"All {every} maps are right."
    return Measurement(test, method, total, words, figures={"reasons": dict(wrong)})


def _stranger(case: Case, maps: MethodMaps, one: StudyMap, scan: str) -> str:
    """Say why a map is not of the network and the scan that it should be; nothing if it is."""
    told, weights = one.sidecar["Provenance"]["weights_sha256"], case.weights_sha256
    if told != weights[one.fold]:
        return f"by {_named(case, weights.index(told))}" if told in weights else "by other weights"
    if one.sidecar["request"].get("input_sha256") != scan:
        return "of another scan than the cohort has by this name"
    names = case.fits[0].class_names
    if list(one.sidecar["request"].get("class_names") or ()) != list(names):
        return "of a network with other classes"
    if names and maps.rule in ("predicted", "own"):
        own = int(case.cohort.labels[one.row])
        index = int(np.argmax(case.outputs[one.row])) if maps.rule == "predicted" else own
        if (maps.rule == "own" or case.sure(one.row)) and one.sidecar["Target"] != names[index]:
            return f"for another class than the {maps.rule} one"
    return ""


def _named(case: Case, which: int) -> str:
    places = [one.place for one in case.explainers[which].together]
    if len(places) == 1:
        return f"the network of fold {which + 1}"
    return f"the networks in {' and '.join(places)}"


def _seen(case: Case, one: StudyMap, trained: Sequence[set[str]]) -> str:
    told = one.sidecar["Provenance"]["weights_sha256"]
    subject = case.cohort.subjects[one.row]
    if told in case.weights_sha256:
        number = case.weights_sha256.index(told)
        if subject in trained[number]:
            return f"by {_named(case, number)}, which had the scan in training"
    return ""


def _misplaced(case: Case, one: StudyMap, grid: Grid) -> str:
    """Say how a map's place differs from its scan's; nothing where it does not."""
    file = one.path.relative_to(case.study.folder).as_posix()
    place = stored_place(case.study.read_bytes(file))
    if place is None:
        return "damaged"
    shape, affine = place
    if shape != tuple(grid.shape):
        swapped = sorted(shape) == sorted(grid.shape)
        return "with axes swapped" if swapped else "of another shape"
    tolerance = 1e-3 * max(grid.voxel_size)
    if np.allclose(affine, grid.affine, atol=tolerance):
        told = np.asarray(one.sidecar["Grid"]["affine"])
        return "" if np.allclose(told, grid.affine, atol=tolerance) else "whose sidecar disagrees"
    if np.allclose(affine, np.eye(4)):
        return "saved with an identity affine"
    same_axes = np.allclose(affine[:3, :3], grid.affine[:3, :3], atol=tolerance)
    return "shifted in space" if same_axes else "turned or mirrored in space"


def _reads(case: Case) -> Mapping[str, Any]:
    return {
        "weights": case.weights_sha256,
        "scans": case.scans_sha256,
        "predictions": case.predictions_sha256,
        "maps": {name: case.maps_sha256(name) for name in case.methods},
    }


ORIGIN = Test(
    "origin",
    ("provenance", "held-out", "grid", "relu"),
    "Where the maps come from",
    _run,
    _reads,
)
