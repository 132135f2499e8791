"""Whether maps depend on the network: thrown-away weights, deletion, other folds, noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import norm

from voxplain.attribution.scoring import scan_score
from voxplain.errors import InputError, VoxplainError
from voxplain.pipeline.trust.again import Maker
from voxplain.pipeline.trust.case import Case, StudyMap
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.pipeline.trust.reproduce import counts_within
from voxplain.progress import Progress
from voxplain.results.trust import Measurement
from voxplain.trust import Agreement, Comparison, Envelope, RemovalTest, randomised, removal

__all__ = ["FAITHFULNESS", "SANITY", "STABILITY"]

_SCANS = 4
_FOLDS = 3
_SHARE = 0.1
_DRAWS = 60
_NOISE = 0.05
_REMOVED = RemovalTest(shares=(0.02, 0.05, 0.1, 0.2, 0.4), draws=20)
_PASSES = (_REMOVED.draws + 1) * len(_REMOVED.shares)
_FALLS = 0.1
_SEED_STEP = 7919


@dataclass(frozen=True, eq=False)
class _Asked:
    """One scan of one method, ready to be asked about.

    Parameters
    ----------
    case : Case
    maker : Maker
    one : StudyMap
    """

    case: Case
    maker: Maker
    one: StudyMap

    def comparison(self) -> Comparison:
        """Compare maps of this scan, which share the brain and what the scan makes strong."""
        volume = self.case.cohort[self.one.row]
        envelope = Envelope(volume.grid, (volume.values,))
        seed = self.case.seed + _SEED_STEP * self.one.row
        return Comparison(self.case.brain, seed=seed, draws=_DRAWS, envelope=envelope)


Measure = Callable[[str, Sequence[_Asked]], Sequence[Measurement]]


def _over_methods(
    rules: tuple[str, ...], measure: Measure
) -> Callable[[Case, Plan, Progress], list[Measurement]]:
    """Ask some scans of each method; what cannot be asked says why, and leaves the others."""

    def run(case: Case, plan: Plan, progress: Progress) -> list[Measurement]:
        counts: Mapping[str, int] = (plan.settings or {})["scans"]
        found: list[Measurement] = []
        with progress.step(str((plan.settings or {})["title"]), len(counts)) as advance:
            for done, (name, count) in enumerate(counts.items(), start=1):
                found += _of_method(case, name, count, rules, measure)
                advance(done)
        return found

    return run


def _of_method(
    case: Case, name: str, count: int, rules: tuple[str, ...], measure: Measure
) -> Sequence[Measurement]:
    maps = case.methods[name]
    try:
        if not count:
            raise InputError("The budget has no time for it.")
        maker = Maker(case, name)
        chosen = [maps.maps[i] for i in case.sample(len(maps.maps), count)]
        usable = [one for one in chosen if one.load().values.shape == case.brain.shape]
        if not usable:
            raise InputError("The maps have another shape than the scans.")
        return measure(name, [_Asked(case, maker, one) for one in usable])
    except VoxplainError as error:
        return [Measurement(rule, name, None, str(error)) for rule in rules]


def _planner(title: str, each: float) -> Callable[[Case, float], Plan | str]:
    """Plan for as many scans as the time allows, where each takes so many maps."""

    def plan(case: Case, seconds: float) -> Plan | str:
        counts = counts_within(case, seconds, each, _SCANS, _SHARE)
        if not any(counts.values()):
            return "The budget has no time for it."
        voxels = float(case.brain.sum())
        # Comparing two maps with surrogates takes about so long.
        time = sum(n * (each * _seconds(case, name) + 2e-4 * voxels) for name, n in counts.items())
        words = f"{max(counts.values())} scans a method"
        return Plan(float(sum(counts.values())), time, words, {"scans": counts, "title": title})

    return plan


def _seconds(case: Case, name: str) -> float:
    return float(np.median([m.sidecar.get("Seconds", 0) for m in case.methods[name].maps] or [0]))


def _reads(case: Case) -> Mapping[str, Any]:
    return {
        "weights": case.weights_sha256,
        "scans": case.scans_sha256,
        "maps": {name: case.maps_sha256(name) for name in case.methods},
        "seed": case.seed,
    }


def _mean_of(found: Sequence[Agreement]) -> dict[str, float]:
    """Average a comparison over scans: the limit for one scan is a cautious one for their mean."""
    return {
        "value": float(np.mean([one.spearman for one in found])),
        "chance": float(np.mean([one.spearman_surrogates for one in found])),
        "limit": float(np.mean([one.spearman_95 for one in found])),
    }


def _sanity(name: str, asked: Sequence[_Asked]) -> Sequence[Measurement]:
    """Compare maps with those of a network whose every layer is random."""
    found = []
    for each in asked:
        network = each.maker.network(each.one.fold)
        *_, (_, random) = randomised(network, each.case.seed + each.one.row)
        volume = each.case.cohort[each.one.row]
        other = each.maker.by(random.eval(), volume, each.one.row)
        found.append(each.comparison().of(np.abs(other), np.abs(each.one.load().values)))
    mean = _mean_of(found)
    words = (
        f"Maps of {len(found)} scans correlate by {mean['value']:.2f} with those of the network "
        f"with random weights (unrelated maps of the same scan: up to {mean['limit']:.2f})."
    )
    return [Measurement("sanity", name, words=words, **_only(mean))]


def _only(mean: Mapping[str, float]) -> dict[str, Any]:
    return {"value": mean["value"], "chance": mean["chance"], "limit": mean["limit"]}


def _faithfulness(name: str, asked: Sequence[_Asked]) -> Sequence[Measurement]:
    """Delete what maps show, and ask the network again."""
    case = asked[0].case
    mean = case.cohort.mean(np.arange(len(case.cohort)))
    done, falls = [], []
    for each in asked:
        volume, one = case.cohort[each.one.row], each.one.load()
        network, target = each.maker.network(each.one.fold), each.maker.settled(each.one.row)
        score = scan_score(network, volume, target, case.outcome.class_names or None, case.engine)
        values = one.values.astype(np.float64)
        if "per unit of intensity" in one.unit:
            # What a voxel adds to the score is its slope times its distance from the reference.
            values = values * (volume.values - mean)
        if not case.outcome.class_names:
            values = np.abs(values)
        envelope = Envelope(volume.grid, (np.abs(volume.values - mean),))
        test = replace(_REMOVED, seed=case.seed + each.one.row, envelope=envelope)
        (result,) = removal(score, volume.values, values, case.brain, {"mean": mean}, test)
        falls.append(result.full - result.empty > _FALLS * abs(result.full))
        done.append(result)
    if case.outcome.class_names and not any(falls):
        reason = "The mean scan of the cohort does not take the answer away from any scan."
        return [Measurement("faithfulness", name, None, reason)]
    # Each p is one of a few; their middles add up as normal scores (Stouffer).
    middles = np.array([one.p - 0.5 / (one.draws + 1) for one in done])
    p = float(norm.sf(norm.isf(middles).sum() / np.sqrt(len(middles))))
    lost, by_chance = (
        float(np.mean([getattr(one, what) for one in done])) for what in ("area", "area_random")
    )
    words = (
        f"Deleting what {len(done)} maps show costs {lost:.2f} logit on average, what random maps "
        f"show {by_chance:.2f} (p = {p:.2g})."
    )
    figures = {"lost": lost, "random": by_chance, "p": [one.p for one in done]}
    return [Measurement("faithfulness", name, p, words, figures=figures)]


def _stability(name: str, asked: Sequence[_Asked]) -> Sequence[Measurement]:
    """Compare maps of one scan by networks of other folds, and of the scan with a little noise."""
    folds: list[Agreement] = []
    noisy: list[Agreement] = []
    for each in asked:
        case, own = each.case, each.one
        volume, how, map_ = case.cohort[own.row], each.comparison(), own.load().values
        others = [fold for fold in range(len(case.fits)) if fold != own.fold][:_FOLDS]
        for fold in others:
            other = each.maker.by(each.maker.network(fold), volume, own.row)
            folds.append(how.of(other, map_))
        rng = np.random.default_rng(case.seed + own.row)
        spread = _NOISE * float(volume.values[case.brain].std())
        added = spread * rng.standard_normal(volume.values.shape, dtype=np.float32) * case.brain
        changed = replace(volume, values=(volume.values + added).astype(np.float32))
        again = each.maker.by(each.maker.network(own.fold), changed, own.row)
        noisy.append(how.of(again, map_))
    over, under = _mean_of(folds), _mean_of(noisy)
    said = (
        f"Maps of one scan by networks of different folds correlate by {over['value']:.2f} "
        f"(unrelated maps: up to {over['limit']:.2f})."
    )
    words = (
        f"Maps correlate by {under['value']:.2f} with those of the same scan with {_NOISE:.0%} "
        f"noise (unrelated maps: up to {under['limit']:.2f})."
    )
    return [
        Measurement("stability", name, words=said, **_only(over)),
        Measurement("repeats", name, words=words, **_only(under)),
    ]


def _test(name: str, rules: tuple[str, ...], title: str, measure: Measure, each: float) -> Test:
    run, plan = _over_methods(rules, measure), _planner(title, each)
    return Test(name, rules, title, run, _reads, plan)


SANITY = _test("sanity", ("sanity",), "Maps of random networks", _sanity, 1.0)
FAITHFULNESS = _test(
    "faithfulness", ("faithfulness",), "What deletion costs", _faithfulness, _PASSES / 20
)
STABILITY = _test(
    "stability", ("stability", "repeats"), "Maps of other folds and of noise", _stability, 4.0
)
