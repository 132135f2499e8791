"""Whether maps depend on the network: thrown-away weights, deletion, other folds, noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from voxplain.attribution.scoring import scan_score
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.maps.asking import DRAWS, Asked, Cost, over_scans
from voxplain.results.trust import Measurement
from voxplain.trust import (
    FWHM_MM,
    Agreement,
    Envelope,
    Removal,
    RemovalTest,
    randomised,
    removal,
    strength,
)
from voxplain.trust.rules import FEWEST_DELETED
from voxplain.volume import Volume

__all__ = ["FAITHFULNESS", "SANITY", "STABILITY"]

_FOLDS = 3
_NOISE = 0.05
_REMOVED = RemovalTest(shares=(0.02, 0.05, 0.1, 0.2), draws=20)
_PASSES = (_REMOVED.draws + 1) * len(_REMOVED.shares)
_FALLS = 0.1


def _mean_of(found: Sequence[Agreement]) -> dict[str, float]:
    """Average a comparison over scans: the limit for one scan is a cautious one for their mean."""
    return {
        "value": float(np.mean([one.spearman for one in found])),
        "chance": float(np.mean([one.spearman_surrogates for one in found])),
        "limit": float(np.mean([one.spearman_95 for one in found])),
    }


def _sanity(name: str, asked: Sequence[Asked]) -> Sequence[Measurement]:
    """Compare maps with those of a network whose every layer is random."""
    found = []
    for each in asked:
        network = each.maker.network(each.one.fold)
        *_, (_, random) = randomised(network, each.case.seed + each.one.row)
        volume = each.case.cohort[each.one.row]
        other = each.maker.by(random.eval(), volume, each.one.row)
        found.append(each.comparison().of(np.abs(other), np.abs(each.one.load().values)))
    mean = _mean_of(found)
    # What the scan makes alike leaves so much to be alike for another reason.
    share = (mean["value"] - mean["chance"]) / (1 - mean["chance"])
    words = (
        f"Maps correlate by {mean['value']:.2f} with those of the network with random weights, "
        f"unrelated maps of the same scans by {mean['chance']:.2f} (scans: {len(found)})."
    )
    return [Measurement("sanity", name, share, words, chance=0.0, figures=mean)]


def _only(mean: Mapping[str, float]) -> dict[str, Any]:
    return {"value": mean["value"], "chance": mean["chance"], "limit": mean["limit"]}


def _faithfulness(name: str, asked: Sequence[Asked]) -> Sequence[Measurement]:
    """Delete what maps show, and ask the network again."""
    case = asked[0].case
    mean = case.cohort.mean(np.arange(len(case.cohort)))
    references = {"mean": mean, "zero": np.zeros_like(mean)}
    done: dict[str, list[Removal]] = {name: [] for name in references}
    again: dict[str, list[Callable[[], tuple[Removal, ...]]]] = {name: [] for name in references}
    for each in asked:
        volume, one = case.cohort[each.one.row], each.one.load()
        network, target = each.maker.network(each.one.fold), each.maker.settled(each.one.row)
        score = scan_score(network, volume, target, case.outcome.class_names or None, case.engine)
        for reference, image in references.items():
            away = volume.values - image
            # What a voxel adds to the score is its slope times its distance from the reference.
            slope = "per unit of intensity" in one.unit
            values = one.values * away if slope else one.values
            test = replace(
                _REMOVED,
                seed=case.seed + each.one.row,
                envelope=Envelope(volume.grid, (np.abs(away),)),
            )
            shown = values if case.outcome.class_names else np.abs(values)
            ask = partial(removal, score, volume.values, shown, case.brain, {reference: image})
            done[reference] += ask(test)
            again[reference].append(partial(ask, replace(test, kind="insertion")))
    deleting = {k: v for k, v in done.items() if not case.outcome.class_names or _falls(v)}
    if not deleting:
        reason = "Neither the cohort's mean scan nor an empty one takes the answer away."
        return [Measurement(rule, name, None, reason) for rule in ("deletion", "faithfulness")]
    each_p = {reference: _joined(found) for reference, found in deleting.items()}
    best = min(each_p, key=lambda one: each_p[one])
    # A method may be faithful to either reference; two chances are counted as two.
    p = min(1.0, len(each_p) * each_p[best])
    lost, by_chance = (
        float(np.mean([getattr(one, what) for one in done[best]]))
        for what in ("area", "area_random")
    )
    put_back = [found for ask in again[best] for found in ask()]
    words = (
        f"Deleting what maps show costs {lost:.2f} logit on average, what random maps show "
        f"{by_chance:.2f} (p = {p:.2g}, scans: {len(asked)})."
    )
    figures = {
        "lost": lost,
        "random": by_chance,
        "p": each_p,
        "reference": best,
        "scans": len(asked),
        "curves": {"deletion": _curves(done[best]), "insertion": _curves(put_back)},
    }
    return [
        Measurement("deletion", name, p, words, figures=figures),
        Measurement("faithfulness", name, p, words, figures=figures),
    ]


def _curves(found: Sequence[Removal]) -> dict[str, list[float]]:
    """Average over scans what is lost or gained at each share of the brain, and by random maps."""
    kept = {"own": "changes", "random": "changes_random", "random_95": "changes_95"}
    return {"shares": list(found[0].shares)} | {
        name: np.mean([getattr(one, what) for one in found], axis=0).tolist()
        for name, what in kept.items()
    }


def _falls(found: Sequence[Removal]) -> bool:
    """Tell whether a reference takes the answer away from some scan."""
    return any(one.full - one.empty > _FALLS * abs(one.full) for one in found)


def _joined(found: Sequence[Removal]) -> float:
    """Join the p of several scans: each is one of a few, and their middles add up (Stouffer)."""
    middles = np.array([one.p - 0.5 / (one.draws + 1) for one in found])
    return float(norm.sf(norm.isf(middles).sum() / np.sqrt(len(middles))))


def _stability(name: str, asked: Sequence[Asked]) -> Sequence[Measurement]:
    """Compare maps of one scan by networks of other folds, and of the scan with a little noise."""
    folds: list[Agreement] = []
    noisy: list[Agreement] = []
    for each in asked:
        case, own = each.case, each.one
        volume, how, map_ = (
            case.cohort[own.row],
            each.comparison(),
            _smooth(own.load().values, case.cohort[own.row]),
        )
        for other_networks in _unlike(case, own.fold)[:_FOLDS]:
            other = each.maker.by(each.maker.network(other_networks), volume, own.row)
            folds.append(how.of(_smooth(other, volume), map_))
        rng = np.random.default_rng(case.seed + own.row)
        spread = _NOISE * float(volume.values[case.brain].std())
        added = spread * rng.standard_normal(volume.values.shape, dtype=np.float32) * case.brain
        changed = replace(volume, values=(volume.values + added).astype(np.float32))
        again = each.maker.by(each.maker.network(own.fold), changed, own.row)
        noisy.append(how.of(_smooth(again, volume), map_))
    under = _mean_of(noisy)
    words = (
        f"Maps correlate by {under['value']:.2f} with those of the same scan with {_NOISE:.0%} "
        f"noise (unrelated maps: up to {under['limit']:.2f})."
    )
    return [_over_folds(name, folds), Measurement("repeats", name, words=words, **_only(under))]


def _unlike(case: Case, own: int) -> list[int]:
    """Find the explainers that have no network in common with one of them."""
    places = [{one.place for one in each.together} for each in case.explainers]
    alone = len(case.explainers[own].together) == 1
    return [
        which
        for which in range(len(places))
        if which != own and (alone or not places[which] & places[own])
    ]


def _over_folds(name: str, found: Sequence[Agreement]) -> Measurement:
    if not found:
        return Measurement("stability", name, None, "There is one network alone.")
    over = _mean_of(found)
    words = (
        f"Maps of one scan by networks of different folds correlate by {over['value']:.2f} "
        f"(unrelated maps: up to {over['limit']:.2f})."
    )
    return Measurement("stability", name, words=words, **_only(over))


def _smooth(values: NDArray[np.float32], volume: Volume) -> NDArray[np.float32]:
    return strength(values, volume.grid, FWHM_MM)


SANITY = over_scans("sanity", ("sanity",), "Maps of random networks", _sanity, Cost(1, DRAWS))
FAITHFULNESS = over_scans(
    "faithfulness",
    ("deletion", "faithfulness"),
    "What deletion costs",
    _faithfulness,
    Cost(0, 3 * _REMOVED.draws, 3 * _PASSES, fewest=FEWEST_DELETED),
)
STABILITY = over_scans(
    "stability",
    ("stability", "repeats"),
    "Maps of other folds and of noise",
    _stability,
    Cost(1 + _FOLDS, (1 + _FOLDS) * DRAWS),
)
