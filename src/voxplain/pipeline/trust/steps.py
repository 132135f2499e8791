"""Tests of a study carried out within the time that was given, and held against the rules."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voxplain.attribution import METHODS
from voxplain.errors import VoxplainError
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.kept import Keeper
from voxplain.pipeline.trust.opening import budget_seconds
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.results.trust import Finding, Measurement, Rule
from voxplain.trust.rules import apply

__all__ = ["Budget", "findings_of", "own_findings", "run_tests"]

_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True)
class Budget:
    """The time that was given.

    Parameters
    ----------
    name : str
        See `voxplain.pipeline.trust.opening.budget_seconds`.
    began : float, seconds
        Of `time.perf_counter`, when it began to run.
    """

    name: str
    began: float

    @property
    def left(self) -> float:
        """Seconds that are left; below 0 where it is spent."""
        return budget_seconds(self.name) - (time.perf_counter() - self.began)


def run_tests(
    case: Case,
    tests: Sequence[Test],
    budget: Budget,
    anew: bool,
    progress: Progress,
    only: Sequence[Test] | None = None,
) -> list[Measurement]:
    """Plan tests within the time, say what they take, and do them in their order.

    Parameters
    ----------
    case : Case
    tests : sequence of Test
    budget : Budget
    anew : bool
        Whether what an earlier run has measured is measured again.
    progress : Progress
    only : sequence of Test, optional
        Those that are done, where the others are done elsewhere.

    Returns
    -------
    list of Measurement
        Also of what was not measured, with the reason.
    """
    steps = _planned(case, tests, budget_seconds(budget.name), anew)
    steps = [one for one in steps if only is None or one.test in only]
    _tell_cost(steps, budget.name, progress)
    measured: list[Measurement] = []
    for number, step in enumerate(steps):
        # What all tests together leave; parts know only of their own.
        spare = budget.left - _foretold(steps[number:]) if only is None else 0.0
        measured += _measured(step, case, budget.left, spare, progress)
    return measured


def findings_of(measured: Sequence[Measurement], rules: Mapping[str, Rule]) -> list[Finding]:
    """Hold measurements against the rules that there are for them, in the order of the rules."""
    findings = [apply(one, rules) for one in measured if one.test in rules]
    order = [*rules]
    return sorted(findings, key=lambda one: order.index(one.rule.test))


def own_findings(findings: Sequence[Finding], method: str) -> list[Finding]:
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
        if isinstance(plan, Plan):
            # Of what is kept too: the same budget then asks for the same, and nothing is done anew.
            left -= plan.seconds
        steps.append(_Step(test, keeper, kept, plan))
    return steps


def _foretold(steps: Sequence[_Step]) -> float:
    plans = (one.plan for one in steps if one.kept is None)
    return sum(plan.seconds for plan in plans if isinstance(plan, Plan))


def _tell_cost(steps: Sequence[_Step], budget: str, progress: Progress) -> None:
    asked = [one for one in steps if one.kept is None]
    todo = [(one, one.plan) for one in asked if isinstance(one.plan, Plan)]
    seconds = _foretold(steps)
    if len(asked) < len(steps):
        progress.say(f"{len(steps) - len(asked)} of {len(steps)} tests were done before.")
    costly = [f"{one.test.title.lower()}: {plan.words}" for one, plan in todo if plan.words]
    progress.say(
        f"About {_duration(seconds)} of {budget}" + (f" ({'; '.join(costly)})." if costly else ".")
    )
    for one in asked:
        if isinstance(one.plan, str):
            progress.say(f"{one.test.title}: left out, unless time is left over. {one.plan}")


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    return f"{seconds / _HOUR:.1f} h"


def _measured(
    step: _Step, case: Case, left: float, spare: float, progress: Progress
) -> list[Measurement]:
    """Do a test, or say why it was not done; what was measured is kept."""
    test, plan = step.test, step.plan
    if step.kept is not None:
        return step.kept
    if isinstance(plan, str) or plan.seconds > max(left, _MINUTE):
        # Tests before it took less time than was foretold, or more.
        plan = test.plan(case, max(left, 0.0))
    elif spare > 0:
        more = test.plan(case, left)
        if isinstance(more, Plan) and plan.size < more.size and more.seconds < plan.seconds + spare:
            plan = more
    if isinstance(plan, str):
        return _without(test, plan)
    try:
        found = list(test.run(case, plan, progress))
    except VoxplainError as error:
        return _without(test, str(error))
    step.keeper.write(plan, found)
    return found


def _without(test: Test, reason: str) -> list[Measurement]:
    if not test.rules:
        return [Measurement(test.name, None, None, f"{test.title}: not tested. {reason}")]
    return [Measurement(name, None, None, reason) for name in test.rules]
