"""Results as ``summary.json`` holds them: the one place that knows its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from voxplain.results.demo import DemoResult, Estimate
from voxplain.results.fit import Confounds, FitResult, ModelResult
from voxplain.results.judgement import JudgedMap
from voxplain.results.reclassify import ReclassifyResult
from voxplain.results.scores import Judged
from voxplain.results.trust import Finding, TrustResult

__all__ = [
    "demo_json",
    "fit_json",
    "judged_json",
    "judged_maps_json",
    "reclassify_json",
    "trust_json",
]


def fit_json(result: FitResult) -> dict[str, Any]:
    """Lay out the part ``fit``; the scores of the first network stand beside ``models`` as well."""
    models = {name: _model_json(model) for name, model in result.models.items()}
    first = {key: value for key, value in models[result.first.name].items() if key != "name"}
    return {
        "outcome": result.outcome,
        "class_names": result.class_names,
        "class_counts": result.class_counts,
        "ceiling": result.ceiling,
        "scans": result.scans,
        "folds": result.folds,
        "repeats": result.repeats,
        "grouping": result.grouping,
        "schedule": result.schedule,
        "options": result.options,
        **first,
        "confounds": _confounds_json(result.confounds) if result.confounds else {},
        "importances": [asdict(one) for one in result.importances],
        "models": models,
        "failed": result.failed,
        "seconds": result.seconds,
        "versions": result.versions,
    }


def reclassify_json(result: ReclassifyResult) -> dict[str, Any]:
    """Lay out the part ``reclassify``."""
    return {
        "network": result.network,
        "method": result.method,
        "class_names": result.class_names,
        "class_counts": result.class_counts,
        "ceiling": result.ceiling,
        "scans": result.scans,
        "folds": result.folds,
        "schedule": result.schedule,
        "options": result.options,
        "grouping": result.grouping,
        "conditions": {
            str(condition): asdict(condition) | judged_json(judged)
            for condition, judged in result.conditions.items()
        },
        "overlap": {name: asdict(one) for name, one in result.overlap.items()},
        "seconds": result.seconds,
        "versions": result.versions,
    }


def demo_json(result: DemoResult) -> dict[str, Any]:
    """Lay out all that the demonstration found."""
    estimates: dict[str, Any] = {}
    for name in ("accuracy", "balanced_accuracy", "roc_auc"):
        estimate: Estimate = getattr(result, name)
        estimates |= {name: estimate.value, f"{name}_ci": estimate.ci}
    agreement = result.agreement
    return {
        "title": result.title,
        "command": result.command,
        "seed": result.seed,
        "target": result.target,
        "grid": result.grid.to_dict() | {"text": str(result.grid)},
        "cohort": asdict(result.cohort),
        **estimates,
        "network": asdict(result.network),
        "training": asdict(result.training),
        "scoring": {"fwhm_mm": result.fwhm_mm, "description": result.scoring},
        "chance_ap": result.chance_ap,
        "chance_ap_95": result.chance_ap_95,
        "methods": {name: asdict(one) for name, one in result.methods.items()},
        "controls": {name: asdict(one) for name, one in result.controls.items()},
        "agreement": {
            "fraction": agreement.fraction,
            "class": agreement.class_name,
            "pairs": [asdict(pair) for pair in agreement.pairs],
        },
        "regions": asdict(result.regions),
        "versions": result.versions,
        "seconds": result.seconds,
        "peak_rss_mb": result.peak_rss_mb,
    }


def judged_maps_json(network: str, judged: Sequence[JudgedMap]) -> dict[str, Any]:
    """Lay out the part ``explain``: the maps of the last call, held against the truth."""
    return {"network": network, "maps": [asdict(one) for one in judged]}


def trust_json(result: TrustResult) -> dict[str, Any]:
    """Lay out all that a verdict rests on, and the verdict, as ``trust.json`` holds it."""
    return {
        "network": result.network,
        "first": result.first,
        "exit_code": result.exit_code,
        "methods": {
            one.method: {
                "label": one.label,
                "verdict": one.call,
                "sentence": one.sentence,
                "of_study": one.of_study,
                "tests": [_finding_json(finding) for finding in one.findings],
            }
            for one in result.methods
        },
        "study": [_finding_json(finding) for finding in result.study],
        "asides": {one.test: {"words": one.words, **one.figures} for one in result.asides},
        "rules": {"edition": result.edition, "table": [asdict(rule) for rule in result.rules]},
        "scans": result.scans,
        "networks": result.networks,
        "budget": result.budget,
        "options": result.options,
        "seconds": result.seconds,
        "versions": result.versions,
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    told = asdict(finding.measurement)
    return {
        "test": finding.rule.test,
        "outcome": finding.outcome,
        "weight": finding.rule.weight,
        "value": told["value"],
        "interval": [told["low"], told["high"]],
        "chance": told["chance"],
        "direction": finding.rule.direction,
        "threshold": finding.threshold,
        "words": told["words"],
        "figures": told["figures"],
    }


def _model_json(model: ModelResult) -> dict[str, Any]:
    out: dict[str, Any] = {"name": model.name}
    network = model.network
    if network is not None:
        out |= {"class": network.kind, "parameters": network.parameters}
        out["training_seconds"] = network.training_seconds
        if network.arithmetic is not None:
            out["arithmetic"] = {**network.arithmetic, "words": network.arithmetic_words}
    return out | judged_json(model.judged)


def judged_json(judged: Judged) -> dict[str, Any]:
    """Lay out the scores of a model, by measure, beside ``permutation`` and ``calibration``."""
    out: dict[str, Any] = {name: asdict(score) for name, score in judged.scores.items()}
    out["permutation"] = asdict(judged.permutation)
    if judged.calibration is not None:
        out["calibration"] = asdict(judged.calibration)
    return out


def _confounds_json(found: Confounds) -> dict[str, Any]:
    out = {"columns": found.columns, "alone": found.alone, "removed": found.removed}
    if found.matched is not None:
        return out | {"matched": {"scans": found.matched.scans, **found.matched.scores}}
    return out
