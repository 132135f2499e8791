"""What is asked of maps without a network: other methods' maps, and what follows the confounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.pipeline.trust.case import Case, MethodMaps
from voxplain.pipeline.trust.maps.counts import comparing
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.results.trust import Measurement
from voxplain.trust import FWHM_MM, Comparison, Envelope, spearman, strength
from voxplain.trust.following import share_of_confounds

__all__ = ["BETWEEN"]

_FEWEST, _DRAWS = 10, 100
# Larger heads have their edges elsewhere, so that all maps follow size a little.
_NOTICEABLE = 0.02
# Maps whose differences are looked at: of large studies a sample, so that memory stays.
_LEAST, _MOST, _MOST_VALUES = 40, 1000, 50_000_000


def _run(case: Case, plan: Plan, progress: Progress) -> Sequence[Measurement]:
    asked = (plan.settings or {}).get("agreement", True)
    found: list[Measurement] = []
    means = {name: _strong(case, maps) for name, maps in case.methods.items()}
    with progress.step("Comparing methods", len(means)) as advance:
        for done, (name, maps) in enumerate(case.methods.items(), start=1):
            if len(means) > 1 and not asked:
                why = "The budget has no time for it."
                found.append(Measurement("agreement", name, None, why))
            elif len(means) > 1:
                found.append(_agreement(case, name, means))
            found.append(_confounded(case, maps))
            advance(done)
    return found


def _strong(case: Case, maps: MethodMaps) -> dict[str, NDArray[np.float32]]:
    """Average a method's maps, by target, and take the strength of the mean."""
    sums: dict[str, NDArray[np.float64]] = {}
    for one in maps.maps:
        values = one.load().values
        if values.shape == case.brain.shape:
            target = str(one.sidecar["Target"])
            sums[target] = sums.get(target, np.zeros(values.shape)) + values
    return {target: strength(one, case.cohort.grid, FWHM_MM) for target, one in sums.items()}


def _agreement(
    case: Case, name: str, means: Mapping[str, Mapping[str, NDArray[np.float32]]]
) -> Measurement:
    envelope = Envelope(case.cohort.grid, (case.cohort.mean(np.arange(len(case.cohort))),))
    how = Comparison(case.brain, seed=case.seed, draws=_DRAWS, envelope=envelope)
    # Targets are compared one by one: maps of two classes may be each other's negative.
    pairs = {
        other: [(means[name][t], theirs[t]) for t in means[name] if t in theirs]
        for other, theirs in means.items()
        if other != name
    }
    everyone = {
        other: float(np.mean([spearman(a, b, case.brain) for a, b in both]))
        for other, both in pairs.items()
        if both
    }
    if not everyone:
        return Measurement("agreement", name, None, "No other method explained the same target.")
    best = max(everyone, key=lambda other: everyone[other])
    found = [how.of(a, b) for a, b in pairs[best]]
    value, limit, chance = (
        float(np.mean([getattr(one, what) for one in found]))
        for what in ("spearman", "spearman_95", "spearman_surrogates")
    )
    words = (
        f"Its mean map agrees most with that of {case.methods[best].label}: rank correlation "
        f"{value:.2f} (unrelated maps: up to {limit:.2f})."
    )
    return Measurement(
        "agreement", name, value, words, chance=chance, limit=limit, figures=everyone
    )


def _confounded(case: Case, maps: MethodMaps) -> Measurement:
    """Measure how much of what differs between maps follows the confounds."""
    most = min(_MOST, max(_LEAST, _MOST_VALUES // int(case.brain.sum())))
    held = []
    for one in (maps.maps[i] for i in case.sample(len(maps.maps), most)):
        values = one.load().values
        if values.shape == case.brain.shape:
            held.append((one, values[case.brain]))
    if len(held) < _FEWEST:
        reason = f"{_FEWEST} maps or more are needed; there are {len(held)}."
        return Measurement("confounded", maps.method, None, reason)
    rows = np.array([one.row for one, _ in held])
    blocks = [f"{case.fold_of[one.row]} {one.sidecar['Target']}" for one, _ in held]
    values = np.stack([values for _, values in held])
    found = share_of_confounds(values, case.confounding.all[rows], blocks, case.seed)
    if found is None:
        reason = "No network explained three scans for one target."
        return Measurement("confounded", maps.method, None, reason)
    names = ", ".join(case.confounding.names)
    some = f"{len(held)} scans" if len(held) < len(maps.maps) else "scans"
    words = (
        f"{found.share:.0%} of the variance of maps over {some} follows {names}; shuffled, "
        f"{found.chance:.0%} on average and at most {found.limit:.0%}."
    )
    limit = max(found.limit, found.chance + _NOTICEABLE)
    return Measurement(
        "confounded", maps.method, found.share, words, chance=found.chance, limit=limit
    )


def _plan(case: Case, seconds: float) -> Plan | str:
    targets = len({one.sidecar["Target"] for maps in case.methods.values() for one in maps.maps})
    takes = len(case.methods) * targets * comparing(case, _DRAWS) if len(case.methods) > 1 else 0.0
    fits = takes <= seconds
    return Plan(1 + fits, takes * fits, settings={"agreement": fits})


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
    _plan,
)
