"""The verdict on a study: every test in order, within the time that was given."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from voxplain import __version__
from voxplain.attribution import METHODS
from voxplain.errors import VoxplainError
from voxplain.pipeline.made import write_page
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.kept import Keeper
from voxplain.pipeline.trust.knowledge import first_line
from voxplain.pipeline.trust.opening import TrustOptions, budget_seconds, open_case
from voxplain.pipeline.trust.order import TESTS
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.report.pages.trust import trust_page
from voxplain.results.summary import trust_json
from voxplain.results.trust import Finding, Measurement, Rule, TrustResult
from voxplain.trust.rules import EDITION, RULES, apply, judge_method, read_rules

__all__ = ["run_trust"]

_MINUTE, _HOUR = 60, 3600


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
    rules = RULES if options.rules is None else read_rules(options.rules)
    edition = EDITION if options.rules is None else f"{EDITION}, changed by {options.rules_name}"
    case = open_case(options)
    tests = [one for one in TESTS if _asked(one, rules, case)]
    steps = _planned(case, tests, budget_seconds(options.budget), options.replace)
    _tell_cost(steps, options.budget, progress)
    measured: list[Measurement] = []
    for step in steps:
        left = budget_seconds(options.budget) - (time.perf_counter() - began)
        measured += _measured(step, case, left, progress)
    findings = [apply(one, rules) for one in measured if one.test in rules]
    order = [*rules]
    findings.sort(key=lambda one: order.index(one.rule.test))
    of_study = tuple(one for one in findings if one.measurement.method is None)
    of_study = tuple(one for one in of_study if one.rule.scope == "study")
    result = TrustResult(
        network=case.network,
        first=first_line(case, of_study),
        study=of_study,
        methods=tuple(
            judge_method(name, maps.label, _own(findings, name), of_study)
            for name, maps in case.methods.items()
        ),
        asides=tuple(one for one in measured if one.test not in RULES),
        edition=edition,
        rules=tuple(rules.values()),
        scans=len(case.cohort),
        networks=len(case.fits),
        budget=options.budget,
        seconds=time.perf_counter() - began,
        options={k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()},
        versions={"voxplain": __version__, "torch": torch.__version__},
    )
    write_page(case.study, "trust.html", trust_page(result))
    case.study.write_json("trust.json", trust_json(result))
    return result


def _asked(test: Test, rules: Mapping[str, Rule], case: Case) -> bool:
    """Tell whether a test is wanted: a rule judges it, or it is the power curve, asked for."""
    return any(name in rules for name in test.rules) or (not test.rules and bool(case.power))


def _own(findings: Sequence[Finding], method: str) -> list[Finding]:
    """Choose a method's findings; what could not be had for any method is told of each."""
    return [
        one
        for one in findings
        if one.rule.scope == "method"
        and (one.measurement.method or method) == method
        and _applies(one, method)
    ]


def _applies(finding: Finding, method: str) -> bool:
    """Tell whether a test says anything of a method."""
    if finding.measurement.value is not None or method not in METHODS:
        return True
    if finding.rule.test == "relu":
        return False
    if finding.rule.test == "reference":
        return finding.measurement.method == method
    return finding.rule.test != "layer" or METHODS[method].needs.layer


@dataclass(frozen=True)
class _Step:
    """A test, where its measurements are kept, those that are, and how it is to be done."""

    test: Test
    keeper: Keeper
    kept: list[Measurement] | None
    plan: Plan | str


def _planned(case: Case, tests: Sequence[Test], budget: float, anew: bool) -> list[_Step]:
    steps, left = [], budget
    for test in tests:
        keeper = Keeper(case.study, test, test.reads(case))
        there = None if anew else keeper.read()
        plan = test.plan(case, left)
        enough = there and (isinstance(plan, str) or there[0].size >= plan.size)
        kept = there[1] if there and enough else None
        if kept is None and isinstance(plan, Plan):
            left -= plan.seconds
        steps.append(_Step(test, keeper, kept, plan))
    return steps


def _tell_cost(steps: Sequence[_Step], budget: str, progress: Progress) -> None:
    asked = [one for one in steps if one.kept is None]
    todo = [(one, one.plan) for one in asked if isinstance(one.plan, Plan)]
    seconds = sum(plan.seconds for _, plan in todo)
    if len(asked) < len(steps):
        progress.say(f"{len(steps) - len(asked)} of {len(steps)} tests were done before.")
    costly = [f"{one.test.title.lower()}: {plan.words}" for one, plan in todo if plan.words]
    progress.say(
        f"About {_duration(seconds)} of {budget}" + (f" ({'; '.join(costly)})." if costly else ".")
    )
    for one in asked:
        if isinstance(one.plan, str):
            progress.say(f"{one.test.title}: not tested. {one.plan}")


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    return f"{seconds / _HOUR:.1f} h"


def _measured(step: _Step, case: Case, left: float, progress: Progress) -> list[Measurement]:
    """Do a test, or say why it was not done; what was measured is kept."""
    test, plan = step.test, step.plan
    if step.kept is not None:
        return step.kept
    if isinstance(plan, Plan) and plan.seconds > max(left, _MINUTE):
        # Tests before it took longer than was foretold.
        plan = test.plan(case, max(left, 0.0))
    if isinstance(plan, str):
        return _without(test, plan)
    try:
        found = list(test.run(case, plan, progress))
    except VoxplainError as error:
        return _without(test, str(error))
    step.keeper.write(plan, found)
    return found


def _without(test: Test, reason: str) -> list[Measurement]:
    return [Measurement(name, None, None, reason) for name in test.rules]
