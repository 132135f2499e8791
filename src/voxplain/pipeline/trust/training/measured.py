"""What the tests that train found, as measurements that rules can judge, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from voxplain.attribution import METHODS
from voxplain.pipeline.trust.training.encoding import EncodingFinding
from voxplain.pipeline.trust.training.layers import LayerFinding
from voxplain.pipeline.trust.training.null import NullFinding, NullMethod
from voxplain.pipeline.trust.training.power import PowerFinding
from voxplain.pipeline.trust.training.spike import SpikedMethod, SpikeFinding
from voxplain.report.words.numbers import share
from voxplain.results.trust import Measurement

__all__ = [
    "encoding_measurements",
    "layer_measurement",
    "null_measurements",
    "power_measurement",
    "spike_measurements",
]

_LEVEL = 0.05


def spike_measurements(found: SpikeFinding, methods: Sequence[str]) -> list[Measurement]:
    """Say how each method finds planted effects; not tested where the network learned none."""
    figures = {
        "sentence": found.sentence,
        "own_accuracy": found.own_accuracy,
        "planted": [asdict(one) for one in found.planted],
    }
    if not found.methods:
        return [
            Measurement("spike-in", name, None, found.sentence, figures=figures) for name in methods
        ]
    return [
        Measurement(
            test="spike-in",
            method=name,
            value=one.average_precision,
            words=_spike_words(one, found),
            low=one.low,
            high=one.high,
            chance=one.chance,
            limit=one.chance_95,
            figures=figures | asdict(one),
        )
        for name, one in found.methods.items()
    ]


def _spike_words(one: SpikedMethod, found: SpikeFinding) -> str:
    learned = [p for p in found.planted if p.trial.learned]
    accuracy = sum(p.trial.accuracy for p in learned) / len(learned)
    beside = [f"average precision {share(one.average_precision)}"]
    if one.low is not None and one.high is not None:
        beside.append(f"95 % interval {share(one.low)} to {share(one.high)}")
    beside += [f"chance {share(one.chance)}", f"95 % of random maps below {share(one.chance_95)}"]
    beside += [f"t-map {share(one.t_map)}"] if one.t_map is not None else []
    beside += [f"at best {share(one.ceiling)}"] if one.ceiling is not None else []
    trial = learned[0].trial
    part = "" if trial.whole else f", {trial.folds} of {trial.split} folds"
    count = f"{one.found_in} of {one.of} planted effects" if one.of > 1 else "a planted effect"
    verb = "finds" if one.found_in else "does not find"
    count = "a planted effect" if one.of == 1 or not one.found_in else count
    return (
        f"{one.label} {verb} {count} that the network learns to {100 * accuracy:.0f} %{part} "
        f"({', '.join(beside)})."
    )


def null_measurements(found: NullFinding) -> list[Measurement]:
    """Say whether maps differ from those of shuffled labels, and how often these are findings."""
    about = {
        "scans": found.scans,
        "folds": found.folds,
        found.score: found.value,
        "p": found.p,
        "same": found.same,
    }
    out = []
    for name, one in found.methods.items():
        figures = about | asdict(one)
        out.append(_null_maps(name, one, figures))
        called, own = one.called, one.called_own
        words = (
            f"{one.label} of a network trained on shuffled labels passes for a finding in "
            f"{called.called} of {called.places} regions (95 % of random maps as smooth, with the "
            f"same envelope: {called.limit} at most; p = {called.p:.2g}); of the study's own "
            f"network, in {own.called}."
        )
        out.append(Measurement("null-calls", name, called.p, words, chance=0.5, figures=figures))
    return out


def _null_maps(name: str, one: NullMethod, figures: Mapping[str, Any]) -> Measurement:
    found, label = one.shared, one.label
    if found is None:
        why = f"Fewer than three folds have a map of {label} for {one.target}."
        return Measurement("null-maps", name, None, why, figures=figures)
    words = (
        f"{label} of {found.networks} networks correlate by {share(found.own)} with each other, "
        f"and by {share(found.other)} with those of networks trained on shuffled labels"
    )
    if _LEVEL <= found.p <= 1 - _LEVEL:
        why = (
            f"{words}: too few networks to tell whether that is more than half (p = {found.p:.2g})."
        )
        return Measurement("null-maps", name, None, why, figures=figures)
    more = "more" if found.p < _LEVEL else "less"
    p = min(found.p, 1 - found.p)
    words += f": {more} than half (p = {p:.2g})."
    return Measurement("null-maps", name, found.p, words, chance=0.5, figures=figures)


def encoding_measurements(found: EncodingFinding) -> list[Measurement]:
    """Say whether maps stay when scans are inverted; not tested where nothing is learned then."""
    out = []
    for name, one in found.methods.items():
        figures = asdict(one) | {"kept": one.kept, found.score: found.value, "p": found.p}
        unknown = found.p > 0.05
        if unknown:
            words = (
                f"On inverted scans the network learns nothing ({found.score} "
                f"{share(found.value)}), so that its maps cannot be compared."
            )
        else:
            left = one.kept
            kept = "" if left is None else f"; {100 * left:.0f} % of what two own folds share"
            limit = share(one.agreement.spearman_95)
            words = (
                f"{one.label} agrees with that of a network trained on inverted intensities "
                f"({found.score} {share(found.value)}) at {share(one.agreement.spearman)} (rank "
                f"correlation; 95 % of random maps below {limit}{kept})."
            )
        out.append(
            Measurement(
                test="encoding",
                method=name,
                value=None if unknown else one.agreement.spearman,
                words=words,
                chance=one.agreement.spearman_surrogates,
                limit=one.agreement.spearman_95,
                figures=figures,
            )
        )
    return out


def layer_measurement(name: str, one: LayerFinding) -> Measurement:
    """Say how the layer that a method looked at finds the planted effect, and which others do."""
    passing = [row.layer for row in one.scores if row.found]
    told = (
        f"{', '.join(passing)} find{'s' * (len(passing) == 1)} the effect"
        if passing
        else ("no layer finds the effect")
    )
    own, best = one.own, one.best
    if own is None or own.failed:
        why = f"{one.label} could not be made at its own layer {one.taken}; {told}."
        return Measurement("layer", name, None, why, figures=asdict(one))
    words = (
        f"{one.label} at {one.taken}: average precision {share(own.average_precision)} (95 % of "
        f"random maps below {share(own.chance_95)}); {told}, best {best.layer} "
        f"({share(best.average_precision)})."
    )
    return Measurement(
        test="layer",
        method=name,
        value=own.average_precision,
        words=words,
        chance=own.chance,
        limit=own.chance_95,
        figures=asdict(one),
    )


def power_measurement(found: PowerFinding, left_out: Sequence[int] = ()) -> Measurement:
    """Say from how many scans on each method finds the planted effect."""
    figures = {
        "points": [asdict(one) for one in found.points],
        "learned_from": found.learned_from,
        "passes_from": dict(found.passes_from),
        "labels": {name: METHODS[name].info.label for name in found.passes_from},
        "left_out": list(left_out),
    }
    left = ", ".join(map(str, left_out))
    more = f" Not tested within the budget: {left}." if left else ""
    return Measurement("power", None, None, found.sentence + more, figures=figures)
