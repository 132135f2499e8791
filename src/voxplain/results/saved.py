"""Results again, from what ``summary.json`` and ``trust.json`` hold: the way back of `summary`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.results.fit import (
    Confounds,
    FitResult,
    Importance,
    Matched,
    ModelResult,
    TrainedNetwork,
)
from voxplain.results.judgement import Found, JudgedMap, Judgement, Judgements, Measured
from voxplain.results.reclassify import Condition, MaskMaking, MaskOverlap, ReclassifyResult
from voxplain.results.scores import Calibrated, HeldOut, Interval, Judged, Permutation
from voxplain.results.trust import Finding, Measurement, MethodVerdict, Rule, TrustResult

__all__ = ["fit_of", "judged_maps_of", "reclassify_of", "trust_of"]

Told = Mapping[str, Any]


def fit_of(told: Told) -> FitResult:
    """Read the part ``fit``."""
    return FitResult(
        outcome=told["outcome"],
        class_names=tuple(told["class_names"]),
        class_counts=tuple(told["class_counts"]),
        ceiling=told["ceiling"],
        scans=told["scans"],
        folds=told["folds"],
        repeats=told["repeats"],
        grouping=told["grouping"],
        schedule=told["schedule"],
        options=told["options"],
        models={name: _model(one) for name, one in told["models"].items()},
        confounds=_confounds(told["confounds"]) if told["confounds"] else None,
        importances=tuple(Importance(**one) for one in told["importances"]),
        failed=told["failed"],
        seconds=told["seconds"],
        versions=told["versions"],
    )


def reclassify_of(told: Told) -> ReclassifyResult:
    """Read the part ``reclassify``."""
    making = {name: told["options"][name] for name in MaskMaking.__dataclass_fields__}
    return ReclassifyResult(
        network=told["network"],
        method=told["method"],
        class_names=tuple(told["class_names"]),
        class_counts=tuple(told["class_counts"]),
        ceiling=told["ceiling"],
        scans=told["scans"],
        folds=told["folds"],
        schedule=told["schedule"],
        options=told["options"],
        making=MaskMaking(**making),
        grouping=told["grouping"],
        conditions={
            Condition(one["trained"], one["mask"]): _judged(one)
            for one in told["conditions"].values()
        },
        overlap={name: MaskOverlap(**one) for name, one in told["overlap"].items()},
        seconds=told["seconds"],
        versions=told["versions"],
    )


def judged_maps_of(told: Told) -> tuple[JudgedMap, ...]:
    """Read the part ``explain``."""
    return tuple(
        JudgedMap(
            one["label"], one["target"], one["map"], one["scans"], _judgements(one["judgements"])
        )
        for one in told["maps"]
    )


def trust_of(told: Told) -> TrustResult:
    """Read ``trust.json``."""
    rules = {one["test"]: Rule(**one) for one in told["rules"]["table"]}
    methods = tuple(
        MethodVerdict(
            method,
            one["label"],
            one["verdict"],
            one["sentence"],
            tuple(_finding(test, rules, method) for test in one["tests"]),
            one.get("of_study", ""),
        )
        for method, one in told["methods"].items()
    )
    asides = tuple(
        Measurement(
            test, None, None, one["words"], figures={k: v for k, v in one.items() if k != "words"}
        )
        for test, one in told["asides"].items()
    )
    return TrustResult(
        network=told["network"],
        first=told["first"],
        study=tuple(_finding(one, rules, None) for one in told["study"]),
        methods=methods,
        asides=asides,
        edition=told["rules"]["edition"],
        rules=tuple(rules.values()),
        scans=told["scans"],
        networks=told["networks"],
        budget=told["budget"],
        seconds=told["seconds"],
        options=told["options"],
        versions=told["versions"],
    )


def _finding(told: Told, rules: Mapping[str, Rule], method: str | None) -> Finding:
    low, high = told["interval"]
    measured = Measurement(
        told["test"],
        method,
        told["value"],
        told["words"],
        low,
        high,
        told["chance"],
        figures=told["figures"],
    )
    return Finding(rules[told["test"]], measured, told["threshold"], told["outcome"])


def _model(told: Told) -> ModelResult:
    network = None
    if "class" in told:
        found = dict(told.get("arithmetic", {}))
        words = found.pop("words", "")
        network = TrainedNetwork(
            told["class"], told["parameters"], told["training_seconds"], found or None, words
        )
    return ModelResult(told["name"], _judged(told), network)


def _judged(told: Told) -> Judged:
    scores = {
        name: _held_out(one)
        for name, one in told.items()
        if isinstance(one, Mapping) and "per_fold" in one
    }
    calibrated = told.get("calibration")
    return Judged(
        scores, Permutation(**told["permutation"]), _calibrated(calibrated) if calibrated else None
    )


def _held_out(told: Told) -> HeldOut:
    def ends(name: str) -> Interval | None:
        pair = told.get(name)
        return None if pair is None else (pair[0], pair[1])

    return HeldOut(
        told["mean"],
        told["sd"],
        tuple(told["per_fold"]),
        told["pooled"],
        ends("ci") or (None, None),
        ends("folds_ci"),
        ends("moderated_ci"),
        ends("pooled_ci"),
    )


def _calibrated(told: Told) -> Calibrated:
    confidence, accuracy, count = (
        tuple(told[name]) for name in ("confidence", "accuracy", "count")
    )
    return Calibrated(confidence, accuracy, count, told["error"])


def _confounds(told: Told) -> Confounds:
    matched = told.get("matched")
    return Confounds(
        tuple(told["columns"]),
        told["alone"],
        told["removed"],
        None
        if matched is None
        else Matched(matched["scans"], {k: v for k, v in matched.items() if k != "scans"}),
    )


def _judgements(told: Told) -> Judgements:
    subjects = told["subjects"]
    return Judgements(
        _judgement(told["group"]),
        None if subjects is None else _judgement(subjects),
        told["fwhm_mm"],
    )


def _judgement(told: Told) -> Judgement:
    ceiling = told["ceiling"]
    return Judgement(
        _found(told["found"]),
        told["chance_ap"],
        told["chance_ap_95"],
        told["fwhm_mm"],
        None if ceiling is None else _found(ceiling),
        {name: _found(one) for name, one in told["controls"].items()},
        told["subjects"],
        told["networks"],
        told["draws"],
    )


def _found(told: Told) -> Found:
    measured: dict[str, Any] = {
        name: None if one is None else Measured(**one) for name, one in told.items()
    }
    return Found(**measured)
