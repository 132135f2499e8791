"""What is asked of maps without a network: other methods' maps, and what follows the confounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.pipeline.trust.case import Case, MethodMaps
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.results.trust import Measurement
from voxplain.trust import FWHM_MM, Comparison, Envelope, strength
from voxplain.trust.following import share_of_confounds

__all__ = ["BETWEEN"]

_FEWEST = 10
# Larger heads have their edges elsewhere, so that all maps follow size a little.
_NOTICEABLE = 0.02


def _run(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    del plan
    found: list[Measurement] = []
    means = {name: _mean(case, maps) for name, maps in case.methods.items()}
    with progress.step("Comparing methods", len(means)) as advance:
        for done, (name, maps) in enumerate(case.methods.items(), start=1):
            if len(means) > 1:
                found.append(_agreement(case, name, means))
            found.append(_confounded(case, maps))
            advance(done)
    return found


def _mean(case: Case, maps: MethodMaps) -> dict[str, NDArray[np.float64]]:
    """Average a method's maps, by target."""
    sums: dict[str, NDArray[np.float64]] = {}
    for one in maps.maps:
        values = one.load().values
        if values.shape == case.brain.shape:
            target = str(one.sidecar["Target"])
            sums[target] = sums.get(target, np.zeros(values.shape)) + values
    return sums


def _agreement(
    case: Case, name: str, means: Mapping[str, Mapping[str, NDArray[np.float64]]]
) -> Measurement:
    envelope = Envelope(case.cohort.grid, (case.cohort.mean(np.arange(len(case.cohort))),))
    how = Comparison(case.brain, seed=case.seed, envelope=envelope)
    best: tuple[float, Measurement] | None = None
    everyone: dict[str, float] = {}
    for other, theirs in means.items():
        both = [target for target in means[name] if target in theirs]
        if other == name or not both:
            continue
        # Targets are compared one by one: maps of two classes may be each other's negative.
        pairs = [how.of(_smooth(case, means[name][t]), _smooth(case, theirs[t])) for t in both]
        value, limit = (
            float(np.mean([getattr(p, w) for p in pairs])) for w in ("spearman", "spearman_95")
        )
        chance = float(np.mean([p.spearman_surrogates for p in pairs]))
        label = case.methods[other].label
        everyone[other] = value
        words = (
            f"Its mean map agrees most with that of {label}: rank correlation {value:.2f} "
            f"(unrelated maps: up to {limit:.2f})."
        )
        made = Measurement("agreement", name, value, words, chance=chance, limit=limit)
        if best is None or value - limit > best[0]:
            best = value - limit, made
    if best is None:
        return Measurement("agreement", name, None, "No other method explained the same target.")
    found = best[1]
    return Measurement(
        found.test, name, found.value, found.words, None, None, found.chance, found.limit, everyone
    )


def _smooth(case: Case, mean: NDArray[np.float64]) -> NDArray[np.float32]:
    return strength(mean, case.cohort.grid, FWHM_MM)


def _confounded(case: Case, maps: MethodMaps) -> Measurement:
    """Measure how much of what differs between maps follows the confounds."""
    kept = [one for one in maps.maps if one.load().values.shape == case.brain.shape]
    if len(kept) < _FEWEST:
        reason = f"{_FEWEST} maps or more are needed; there are {len(kept)}."
        return Measurement("confounded", maps.method, None, reason)
    values = np.stack([one.load().values[case.brain] for one in kept])
    rows = np.array([one.row for one in kept])
    blocks = [f"{one.fold} {one.sidecar['Target']}" for one in kept]
    found = share_of_confounds(values, case.confounding.all[rows], blocks, case.seed)
    if found is None:
        reason = "No network explained three scans for one target."
        return Measurement("confounded", maps.method, None, reason)
    names = ", ".join(case.confounding.names)
    words = (
        f"{found.share:.0%} of the variance of maps over scans follows {names}; shuffled, "
        f"{found.chance:.0%} on average and at most {found.limit:.0%}."
    )
    limit = max(found.limit, found.chance + _NOTICEABLE)
    return Measurement(
        "confounded", maps.method, found.share, words, chance=found.chance, limit=limit
    )


def _reads(case: Case) -> Mapping[str, Any]:
    return {
        "scans": case.scans_sha256,
        "table": case.table_sha256,
        "folds": case.predictions_sha256,
        "maps": {name: case.maps_sha256(name) for name in case.methods},
        "seed": case.seed,
    }


BETWEEN = Test(
    "between",
    ("agreement", "confounded"),
    "Other methods and confounds",
    _run,
    _reads,
)
