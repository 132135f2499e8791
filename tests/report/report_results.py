"""Typed results from what ``summary.json`` holds, so that pages are tested on its own form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.grid import Grid
from voxplain.report.figures.charts.bars import LocalisationRow
from voxplain.report.words.scores import ScoreRow
from voxplain.results.demo import (
    CohortFacts,
    DemoResult,
    EffectFacts,
    Estimate,
    NetworkFacts,
    TrainingFacts,
)
from voxplain.results.fit import (
    Confounds,
    FitResult,
    Importance,
    Matched,
    ModelResult,
    TrainedNetwork,
)
from voxplain.results.localisation import (
    AgreementPair,
    AgreementResult,
    ControlResult,
    MethodResult,
    RegionRanks,
    RegionRow,
    RegionsResult,
)
from voxplain.results.reclassify import Condition, MaskMaking, MaskOverlap, ReclassifyResult
from voxplain.results.scores import Calibrated, HeldOut, Judged, Permutation
from voxplain.results.training import Epoch

Told = Mapping[str, Any]


def held_out(told: Told) -> HeldOut:
    pairs = {
        key: None if told.get(key) is None else tuple(told[key])
        for key in ("ci", "folds_ci", "moderated_ci", "pooled_ci")
    }
    values = {key: told.get(key) for key in ("mean", "sd", "pooled")}
    return HeldOut(per_fold=tuple(told.get("per_fold", ())), **values, **pairs)


def calibrated(told: Told) -> Calibrated:
    bins = (tuple(told[key]) for key in ("confidence", "accuracy", "count"))
    return Calibrated(*bins, told["error"])


def judged(told: Told) -> Judged:
    scores = {k: held_out(v) for k, v in told.items() if isinstance(v, Mapping) and "ci" in v}
    bins = calibrated(told["calibration"]) if "calibration" in told else None
    return Judged(scores, Permutation(**told["permutation"]), bins)


def importance(told: Told) -> Importance:
    return Importance(told["measure"], told["permutation"], told.get("own", {}))


def model(told: Told) -> ModelResult:
    network, arithmetic = None, dict(told.get("arithmetic", {}))
    if "class" in told:
        words = arithmetic.pop("words", "")
        network = TrainedNetwork(
            told["class"], told["parameters"], told["training_seconds"], arithmetic or None, words
        )
    return ModelResult(told["name"], judged(told), network)


def confounds(told: Told) -> Confounds | None:
    if not told:
        return None
    matched = told.get("matched")
    if matched is not None:
        scores = {name: value for name, value in matched.items() if name != "scans"}
        matched = Matched(matched["scans"], scores)
    return Confounds(tuple(told["columns"]), told["alone"], told["removed"], matched)


def fit_result(told: Told) -> FitResult:
    return FitResult(
        outcome=told["outcome"],
        class_names=tuple(told["class_names"]),
        class_counts=tuple(told.get("class_counts", ())),
        ceiling=told.get("ceiling"),
        scans=told["scans"],
        folds=told["folds"],
        repeats=told["repeats"],
        grouping=told["grouping"],
        schedule=told["schedule"],
        options=told.get("options", {}),
        models={name: model(one) for name, one in told["models"].items()},
        confounds=confounds(told["confounds"]),
        importances=tuple(importance(one) for one in told["importances"]),
        failed=told.get("failed", {}),
        seconds=told.get("seconds", 0.0),
        versions=told["versions"],
    )


def reclassify_result(told: Told) -> ReclassifyResult:
    making = ("share", "soft", "fwhm", "explained", "retrain", "leaky", "seed")
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
        making=MaskMaking(**{key: told["options"][key] for key in making}),
        grouping=told["grouping"],
        conditions={
            Condition(one["trained"], one["mask"]): judged(one)
            for one in told["conditions"].values()
        },
        overlap={name: MaskOverlap(**one) for name, one in told.get("overlap", {}).items()},
        seconds=told["seconds"],
        versions=told["versions"],
    )


def localisation_row(told: Told) -> LocalisationRow:
    ends = told.get("subject_ap_ci")
    return LocalisationRow(
        told["label"],
        told["group_ap"],
        told.get("subject_ap"),
        None if ends is None else tuple(ends),
        told.get("group_class", ""),
        told.get("control", False),
    )


def agreement_result(told: Told) -> AgreementResult:
    unseen = {"dice_surrogates": 0.0, "draws": 0}
    pairs = tuple(AgreementPair(**unseen | one) for one in told.get("pairs", ()))
    return AgreementResult(told.get("fraction", 0.05), told.get("class", "case"), pairs)


def demo_result(told: Told, grid: Grid) -> DemoResult:
    """Fill in what a scene of the tests leaves out, as no test looks at it."""
    cohort = dict(told["cohort"])
    unseen = {"strength": 0.2, "spread": 0.1, "bayes_accuracy": 0.99}
    cohort["effect"] = EffectFacts(**unseen | cohort["effect"])
    estimates = {
        name: Estimate(told[name], tuple(told[f"{name}_ci"]))
        for name in ("accuracy", "balanced_accuracy", "roc_auc")
    }
    training = told["training"]
    regions = {
        name: {
            label: RegionRanks(
                tuple(RegionRow(**row) for row in one["top"]), one["affected_ranks"], 116
            )
            for label, one in by_class.items()
        }
        for name, by_class in told["regions"]["methods"].items()
    }
    method = {
        "subject_ap_by_class": {},
        "group_class": "case",
        "mass": 0.1,
        "group_subjects": {},
        "group_fwhm_mm": 12.0,
        "chance_ap_95": 0.035,
        "one_sided": False,
    }
    return DemoResult(
        title=told["title"],
        command=told["command"],
        seed=told["seed"],
        target=told["target"],
        grid=grid,
        cohort=CohortFacts(**{"class_counts": {"control": 10, "case": 10}} | cohort),
        **estimates,
        network=NetworkFacts(**{"precision": "exact", "device": "cpu"} | told["network"]),
        training=TrainingFacts(
            training["schedule"],
            tuple(Epoch(**one) for one in training["history"]),
            training["seconds"],
        ),
        fwhm_mm=told["scoring"]["fwhm_mm"],
        scoring=told["scoring"]["description"],
        chance_ap=told["chance_ap"],
        chance_ap_95=told["chance_ap_95"],
        methods={name: MethodResult(**method | one) for name, one in told["methods"].items()},
        controls={
            name: ControlResult(**{"mass": 0.1} | one) for name, one in told["controls"].items()
        },
        agreement=agreement_result(told.get("agreement", {})),
        regions=RegionsResult(
            told["regions"]["atlas"], tuple(told["regions"]["affected"]), regions
        ),
        versions=told["versions"],
        seconds=told["seconds"],
        peak_rss_mb=told["peak_rss_mb"],
    )


def typed_row(told: Told | ScoreRow) -> ScoreRow:
    if isinstance(told, ScoreRow):
        return told
    ci = told.get("ci")
    return ScoreRow(
        told["label"],
        told["group"],
        told["value"],
        None if ci is None else tuple(ci),
        told.get("per_fold") or (),
    )
