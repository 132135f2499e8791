"""Rules applied to what was measured, and verdicts made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from voxplain.errors import InputError
from voxplain.results.trust import Call, Finding, Measurement, MethodVerdict, Rule
from voxplain.trust.rules.table import RULES

__all__ = ["apply", "judge_method"]

_ROUNDING = 1e-9
# The one test that shows that a method finds what is there, and how many others weigh against it.
_SHOWN_BY, _AGAINST = "spike-in", 2


def apply(measurement: Measurement, rules: Mapping[str, Rule] = RULES) -> Finding:
    """Hold a figure against its rule.

    Parameters
    ----------
    measurement : Measurement
    rules : mapping of str to Rule

    Returns
    -------
    Finding
        Not tested where there is no value, nothing to hold it against, or a value of fewer scans
        than the rule asks for.

    Raises
    ------
    InputError
        If there is no rule for the test.
    """
    if measurement.test not in rules:
        raise InputError(f"There is no rule for the test {measurement.test!r}.")
    rule = rules[measurement.test]
    threshold = measurement.limit if rule.threshold is None else rule.threshold
    value = measurement.value
    if value is None or threshold is None or not math.isfinite(value + threshold):
        return Finding(rule, measurement, threshold, "not tested")
    asked = (measurement.figures or {}).get("scans", rule.scans) if rule.scans > 1 else 1
    if asked < rule.scans:
        few = f"{measurement.words} Of {asked} scan{'s' * (asked > 1)}; {rule.scans} are needed."
        return Finding(rule, replace(measurement, words=few), threshold, "not tested")
    slack = _ROUNDING * max(1.0, abs(threshold))
    above, below = value >= threshold - slack, value <= threshold + slack
    passed = above if rule.direction == "at least" else below
    return Finding(rule, measurement, threshold, "pass" if passed else "fail")


def judge_method(
    method: str, label: str, own: Sequence[Finding], study: Sequence[Finding]
) -> MethodVerdict:
    """Say whether the maps of a method may be believed.

    One decisive test that failed, of the method or of the study, is enough not to believe it. Where
    a decisive test was not done, or another failed, there is a reason for care. A method of which
    no decisive test was done is not tested, whatever else is known; nor is one that failed two of
    its tests or more that ask for care where no planted effect could show that it finds things:
    it may be right for all that is known, and there is as much against it as for it.

    Parameters
    ----------
    method, label : str
    own : sequence of Finding
        Of the method.
    study : sequence of Finding
        Of the whole study.

    Returns
    -------
    MethodVerdict
    """
    both = [*study, *own]
    decisive = [one for one in both if one.rule.weight == "decisive"]
    lost = [one for one in decisive if one.outcome == "fail"]
    care = [one for one in both if one.rule.weight == "care" and one.outcome == "fail"]
    open_ = [one for one in decisive if one.outcome == "not tested"]
    against = [one for one in care if one in own]
    unshown = any(one.rule.test == _SHOWN_BY for one in open_)
    own_done = [one for one in decisive if one in own and one.outcome != "not tested"]
    call: Call
    if lost:
        call, why = "do not believe", " ".join(_reason(one) for one in lost)
    elif not own_done:
        call, why = "not tested", "None of its decisive tests was done."
    elif unshown and len(against) >= _AGAINST:
        why = (
            f"It failed {' and '.join(one.rule.test for one in against)}, and no planted effect "
            f"has shown that it finds things. {' '.join(_reason(one) for one in care)}"
        )
        call = "not tested"
    elif care or open_:
        call, why = "believe with care", " ".join(_reason(one) for one in care)
    else:
        call, why = "believe", "All tests that were done were passed."
    left = open_ if call != "believe" else [one for one in both if one.outcome == "not tested"]
    if left and own_done:
        names = ", ".join(one.rule.test for one in left)
        why = f"{why} Not tested: {names}.".strip()
    shared = " ".join(_reason(one) for one in lost or care if one in study)
    of_study = shared if why.startswith(shared) else ""
    return MethodVerdict(method, label, call, f"{label}: {call}. {why}", tuple(own), of_study)


def _reason(finding: Finding) -> str:
    failure, words = finding.rule.failure.rstrip("."), finding.measurement.words.rstrip(".")
    return f"{failure} ({words}; {limit_of(finding)})."


def limit_of(finding: Finding) -> str:
    """Say by which rule: ``"rule: at most 0.05"``."""
    threshold = "–" if finding.threshold is None else f"{finding.threshold:.3g}"
    return f"rule: {finding.rule.direction} {threshold}"
