"""Whether the maps are what the networks give, asked again: the strongest test that trains none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.attribution import METHODS
from voxplain.attribution.network.target import TargetLike
from voxplain.errors import VoxplainError
from voxplain.pipeline.trust.case import Case, MethodMaps, StudyMap
from voxplain.pipeline.trust.maps.again import Maker, seconds_of
from voxplain.pipeline.trust.maps.counts import counts_within
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.pipeline.trust.together import members_of
from voxplain.progress import Progress
from voxplain.results.trust import Measurement
from voxplain.trust.likeness import correlation, say_likeness
from voxplain.trust.truth.controls import EDGE_SIGMA_MM, edge_filter

__all__ = ["REPRODUCED"]

_MOST = 6
_LEAST = 1e-3
_SAME = 0.8
_LAYERS = 12


def _plan(case: Case, seconds: float) -> Plan | str:
    costs = {name: max(seconds_of(maps), _LEAST) for name, maps in case.methods.items()}
    counts = counts_within(case, seconds, costs, _MOST)
    if not any(counts.values()):
        return "The budget has no time for making maps again."
    time = sum(n * costs[name] for name, n in counts.items())
    words = f"{sum(counts.values())} maps made again"
    return Plan(sum(counts.values()), time, words, {"scans": counts})


def _run(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    counts = (plan.settings or {})["scans"]
    found = []
    with progress.step("Making maps again", max(1, sum(counts.values()))) as advance:
        done = 0
        for name, maps in case.methods.items():
            found += [_again(case, maps, counts[name]), _individual(case, maps)]
            done += counts[name]
            advance(done)
    return found


def _again(case: Case, maps: MethodMaps, count: int) -> Measurement:
    """Compare some maps of a method with what its networks give now."""
    if not count:
        reason = "The budget has no time for making a map again."
        return Measurement("reproduced", maps.method, None, reason)
    known = [one for one in maps.maps if maps.rule != "predicted" or case.sure(one.row)]
    if not known:
        reason = "The network is undecided about every scan, so that rounding chooses the class."
        return Measurement("reproduced", maps.method, None, reason)
    try:
        maker = Maker(case, maps.method)
        chosen = [known[i] for i in case.sample(len(known), count)]
        fresh = maker.of_scans([one.row for one in chosen])
    except VoxplainError as error:
        return Measurement("reproduced", maps.method, None, str(error))
    alike, wrong = [], []
    for one in chosen:
        stored = one.load().values
        same = stored.shape == fresh[one.row].shape
        alike.append(correlation(stored, fresh[one.row]) if same else 0.0)
        if alike[-1] < _SAME:
            wrong.append(one)
    words = f"{len(chosen)} maps were made again, and correlate with those of the study by "
    words += f"{min(alike):.3f} or more."
    figures: dict[str, Any] = {"correlations": alike}
    if wrong:
        cause = _cause(case, maker, wrong, fresh)
        words = (
            f"{len(wrong)} of {len(chosen)} maps made again are others (correlation "
            f"{min(alike):.2f}): those of the study are {cause or 'unlike all that was tried'}."
        )
        figures["cause"] = cause
    return Measurement("reproduced", maps.method, min(alike), words, figures=figures)


def _cause(
    case: Case,
    maker: Maker,
    wrong: Sequence[StudyMap],
    fresh: Mapping[int, NDArray[np.float32]],
) -> str:
    """Say what a map of the study is instead of what it should be, from the first that is known."""
    for one in wrong[:2]:
        stored, volume = one.load().values, case.cohort[one.row]
        others: dict[str, NDArray[np.float32]] = {}
        if stored.shape == volume.grid.shape:
            others = _others(case, maker, one)
        if said := say_likeness(stored, fresh[one.row], others):
            return said
    return ""


def _others(case: Case, maker: Maker, one: StudyMap) -> dict[str, NDArray[np.float32]]:
    """Make what else a map may be: the scan, its edges, the mean, another class, fold or layer."""
    volume, maps = case.cohort[one.row], maker.maps
    others = {
        "the scan itself": volume.values,
        "the scan without its sign": np.abs(volume.values),
        "the edges of the scan": edge_filter(volume.values, volume.grid, EDGE_SIGMA_MM),
        "the mean of all maps": np.mean([m.load().values for m in maps.maps], axis=0),
    }
    own, classes = maker.settled(one.row), len(case.outcome.class_names)
    for index in range(classes):
        if index != own:
            key = f"for {case.outcome.class_names[index]}, which is not its target"
            others[key] = maker.by(maker.network(one.fold), volume, one.row, target=index)
    for fold in range(len(case.explainers)):
        if fold != one.fold:
            key = f"by the network of fold {fold + 1}, not of the one that held the scan out"
            others[key] = maker.by(maker.network(fold), volume, one.row)
    if maps.method in METHODS and METHODS[maps.method].needs.layer:
        others |= _layers(maker, one, own)
    return others


def _layers(maker: Maker, one: StudyMap, target: TargetLike) -> dict[str, NDArray[np.float32]]:
    network, found = maker.network(one.fold), {}
    volume = maker.case.cohort[one.row]
    first = members_of(network)[0]
    names = [n for n, m in first.named_modules() if n and not list(m.children())]
    for name in names[:_LAYERS]:
        try:
            values = maker.by(network, volume, one.row, target, layer=name)
        except VoxplainError:
            continue
        found[f"of the layer {name}"] = values
    return found


def _individual(case: Case, maps: MethodMaps) -> Measurement:
    """Correlate the maps of different scans by one network for one target."""
    together: dict[tuple[int, str], list[StudyMap]] = {}
    for one in maps.maps:
        together.setdefault((one.fold, one.sidecar["Target"]), []).append(one)
    alike = []
    for group in together.values():
        values = [one.load().values[case.brain] for one in group[:_MOST] if _fits(case, one)]
        alike += [correlation(a, b) for a, b in combinations(values, 2)]
    if not alike:
        reason = "No network explained two scans for one target."
        return Measurement("individual", maps.method, None, reason)
    mean = float(np.mean(alike))
    words = f"Maps of different scans by one network correlate by {mean:.2f} on average."
    return Measurement("individual", maps.method, mean, words)


def _fits(case: Case, one: StudyMap) -> bool:
    return one.load().values.shape == case.brain.shape


def _reads(case: Case) -> Mapping[str, Any]:
    return {
        "weights": case.weights_sha256,
        "scans": case.scans_sha256,
        "maps": {name: case.maps_sha256(name) for name in case.methods},
        "seed": case.seed,
    }


REPRODUCED = Test(
    "reproduced",
    ("reproduced", "individual"),
    "Maps made again",
    _run,
    _reads,
    _plan,
)
