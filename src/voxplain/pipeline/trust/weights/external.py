"""Somebody's weights on a study's scans: what may be said of them without any training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import torch

from voxplain import __version__
from voxplain.cohort.store.reader import open_store
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.made import write_page
from voxplain.pipeline.trust.maps.between import BETWEEN
from voxplain.pipeline.trust.maps.networks import FAITHFULNESS, SANITY, STABILITY
from voxplain.pipeline.trust.maps.reference import REFERENCE
from voxplain.pipeline.trust.opening import TrustOptions, edition_of
from voxplain.pipeline.trust.registry import Test
from voxplain.pipeline.trust.steps import Budget, findings_of, own_findings, run_tests
from voxplain.pipeline.trust.weights.asked import ask_weights, open_weights
from voxplain.pipeline.trust.weights.by_layer import BY_LAYER
from voxplain.pipeline.trust.weights.head_size import HeadSize
from voxplain.pipeline.trust.weights.plausibility import (
    judge_weights,
    plausibility_measurement,
    require_plausible,
)
from voxplain.progress import Progress
from voxplain.report.pages.trust import trust_page
from voxplain.results.summary import trust_json
from voxplain.results.trust import Measurement, TrustResult
from voxplain.trust.rules import RULES, judge_method, read_rules

__all__ = ["trust_weights"]

_TESTS: Final[tuple[Test, ...]] = (REFERENCE, SANITY, FAITHFULNESS, STABILITY, BETWEEN, BY_LAYER)
_NEED_TRAINING = ("spike-in", "null-maps", "null-calls", "encoding", "layer")
_UNTRAINED = "It needs the network to be trained on these scans, and --weights trains nothing."


def trust_weights(
    options: ScanOptions, how: TrustOptions, progress: Progress, forced: bool = False
) -> TrustResult:
    """Say of somebody's weights whether maps of them on a study's scans may be believed.

    Nothing is trained. Are scans and predictions like those of the training, does the network know
    the classes, and does it know more than head size? Some scans are explained, and their maps get
    all tests that need no training; those that do are named as not tested. Writes
    ``trust-weights.html`` and ``trust-weights.json`` into the study.

    Parameters
    ----------
    options : ScanOptions
        Network and weights, and what is said of the outputs; no images. `out` is the study.
    how : TrustOptions
        Budget, rules, and whether all is measured anew.
    progress : Progress
    forced : bool, default=False
        Whether the verdict is given also of a network that is not at home on these scans.

    Returns
    -------
    TrustResult

    Raises
    ------
    VoxplainError
        If the study has no cohort, the weights do not fit, or less than nine scans of ten are like
        those of the training.
    """
    budget = Budget(how.budget, time.perf_counter())
    rules = RULES if how.rules is None else read_rules(how.rules)
    cohort = open_store(options.out / "cohort")
    answers = ask_weights(options, cohort, progress)
    found = judge_weights(options, cohort, answers)
    require_plausible(found, forced)
    case = open_weights(options, cohort, answers, budget.left, progress)
    tests = [one for one in _TESTS if not one.rules or any(name in rules for name in one.rules)]
    measured = [
        *_of_size(found.head_size),
        plausibility_measurement(found),
        *run_tests(case, tests, budget, how.replace, progress),
        *(Measurement(name, None, None, _UNTRAINED) for name in _NEED_TRAINING),
    ]
    findings = findings_of(measured, rules)
    of_study = tuple(one for one in findings if one.rule.scope == "study")
    result = TrustResult(
        network=options.network,
        first=found.first,
        study=of_study,
        methods=tuple(
            judge_method(name, maps.label, own_findings(findings, name), of_study)
            for name, maps in case.methods.items()
        ),
        asides=tuple(one for one in measured if one.test not in RULES),
        edition=edition_of(how),
        rules=tuple(rules.values()),
        scans=len(cohort),
        networks=len(options.weights),
        budget=f"{how.budget}, nothing is trained",
        seconds=time.perf_counter() - budget.began,
        options=_plain(options),
        versions={"voxplain": __version__, "torch": torch.__version__},
    )
    write_page(case.study, "trust-weights.html", trust_page(result))
    case.study.write_json("trust-weights.json", trust_json(result))
    return result


def _of_size(found: HeadSize | None) -> Sequence[Measurement]:
    if found is None:
        return []
    figures = asdict(found)
    return [
        Measurement("knowledge-chance", None, found.p, found.sentence, figures=figures),
        Measurement("knowledge-confounds", None, found.p_removed, found.sentence, figures=figures),
    ]


def _plain(options: ScanOptions) -> dict[str, Any]:
    told = asdict(options)
    return told | {"weights": [str(one) for one in options.weights], "out": str(options.out)}
