"""The verdict on a study: every test in order, within the time that was given."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import torch

from voxplain import __version__
from voxplain.pipeline.made import write_page
from voxplain.pipeline.shards.alone import works_alone
from voxplain.pipeline.trust.data.knowledge import first_line
from voxplain.pipeline.trust.opening import TrustOptions, edition_of
from voxplain.pipeline.trust.parts import asked_tests, find_trust_run
from voxplain.pipeline.trust.steps import Budget, findings_of, own_findings, run_tests
from voxplain.progress import Progress
from voxplain.report.pages.trust import power_figure, trust_page
from voxplain.results.summary import trust_json
from voxplain.results.trust import TrustResult
from voxplain.trust.rules import RULES, judge_method

__all__ = ["run_trust"]


@works_alone
def run_trust(options: TrustOptions, progress: Progress) -> TrustResult:
    """Test a study that was fitted and explained, and say what may be believed.

    Writes, below the study, each test's measurements (``trust/``), the page ``trust.html`` and
    ``trust.json`` last, which holds every figure. What an earlier run measured of the same
    weights, maps and scans is kept. What the budget has no time for counts as not tested.

    Parameters
    ----------
    options : TrustOptions
    progress : Progress

    Returns
    -------
    TrustResult

    Raises
    ------
    VoxplainError
        If the study cannot be judged, or the file of rules cannot be used.
    """
    began = time.perf_counter()
    case, rules, tests = asked_tests(options)
    kept = find_trust_run(options, case, tests)
    measured = run_tests(case, tests, Budget(options.budget, began), options.replace, progress)
    findings = findings_of(measured, rules)
    of_study = tuple(one for one in findings if one.rule.scope == "study")
    result = TrustResult(
        network=case.network,
        first=first_line(case, of_study),
        study=of_study,
        methods=tuple(
            judge_method(name, maps.label, own_findings(findings, name), of_study)
            for name, maps in case.methods.items()
        ),
        asides=tuple(one for one in measured if one.test not in RULES),
        edition=edition_of(options),
        rules=tuple(rules.values()),
        scans=len(case.cohort),
        networks=len(case.fits) * len(case.explainers[0].together),
        budget=options.budget,
        seconds=time.perf_counter() - began,
        options={k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()},
        versions={"voxplain": __version__, "torch": torch.__version__},
    )
    write_page(case.study, "trust.html", trust_page(result))
    for aside in result.asides:
        if drawn := power_figure(aside):
            case.study.write_bytes("figures/trust-power.svg", drawn.svg)
    case.study.write_json("trust.json", trust_json(result))
    if kept is not None:
        kept.join(case.study)
    return result
