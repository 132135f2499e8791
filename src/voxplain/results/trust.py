"""What is measured of a study, by which rule it is judged, and what may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "CALL_WORDS",
    "Call",
    "Finding",
    "Measurement",
    "MethodVerdict",
    "Outcome",
    "Rule",
    "TrustResult",
]

Scope = Literal["study", "method"]
Direction = Literal["at least", "at most"]
Weight = Literal["decisive", "care"]
Outcome = Literal["pass", "fail", "not tested"]
Call = Literal["believe", "believe with care", "do not believe", "not tested"]

CALL_WORDS: tuple[Call, ...] = ("believe", "believe with care", "do not believe", "not tested")


@dataclass(frozen=True)
class Rule:
    """What a figure must be for a test to be passed, and what follows where it is not.

    Parameters
    ----------
    test : str
        Name, of lower-case words with hyphens: ``"spike-in"``.
    scope : {"study", "method"}
        Whether the figure is one of the study, or one of each method.
    title : str
        The test, in a few words.
    statistic : str
        What the figure is, with its unit.
    direction : {"at least", "at most"}
        On which side of the threshold, itself included, the test is passed.
    threshold : float or None
        None where each figure is held against the limit of its own null; see `Measurement`.
    failure : str
        What a failure means, in a sentence.
    advice : str
        What to do then, in a sentence.
    weight : {"decisive", "care"}
        Whether a method that fails is not to be believed, or to be believed with care.
    scans : int, default=1
        Of how many scans the figure must be, where it is of some: of fewer it is not judged.
    """

    test: str
    scope: Scope
    title: str
    statistic: str
    direction: Direction
    threshold: float | None
    failure: str
    advice: str
    weight: Weight
    scans: int = 1

    def __str__(self) -> str:
        limit = "its own null's limit" if self.threshold is None else f"{self.threshold:g}"
        fewest = f", of {self.scans} scans or more" * (self.scans > 1)
        return f"{self.statistic}, {self.direction} {limit}{fewest}"


@dataclass(frozen=True)
class Measurement:
    """What a test measured, before any rule is applied: kept on disk, so that rules may change.

    Parameters
    ----------
    test : str
        Of a rule.
    method : str or None
        Registry name; None of a test of the whole study.
    value : float or None
        The figure that the rule judges; None where it was not measured.
    words : str
        What was found, in a sentence that a reviewer can read, with its figures. Where nothing was
        measured: the reason.
    low, high : float or None
        95 % interval of the value.
    chance : float or None
        What the value would be on average if nothing were there.
    limit : float or None
        What 95 % of draws of the null stay on the wrong side of: the threshold of rules that have
        none of their own.
    figures : mapping
        All else that was measured, as JSON holds it.
    """

    test: str
    method: str | None
    value: float | None
    words: str
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    limit: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What a test measured, and whether that passes by the rule.

    Parameters
    ----------
    rule : Rule
    measurement : Measurement
    threshold : float or None
        That the value was held against; None where there is none.
    outcome : {"pass", "fail", "not tested"}
    """

    rule: Rule
    measurement: Measurement
    threshold: float | None
    outcome: Outcome


@dataclass(frozen=True)
class MethodVerdict:
    """Whether the maps of a method may be believed, and why.

    Parameters
    ----------
    method, label : str
        Registry name, and the name that is shown.
    call : {"believe", "believe with care", "do not believe", "not tested"}
    sentence : str
        The verdict with its main reasons, for a reviewer.
    findings : tuple of Finding
        Of the method, in the order of the rules.
    of_study : str
        The reasons in `sentence` that hold for every method, with which they begin.
    """

    method: str
    label: str
    call: Call
    sentence: str
    findings: tuple[Finding, ...]
    of_study: str = ""

    @property
    def apart(self) -> str:
        """`sentence`, where the reasons that hold for every method are said elsewhere."""
        if not self.of_study:
            return self.sentence
        return self.sentence.replace(self.of_study, "As for all methods.", 1)


@dataclass(frozen=True)
class TrustResult:
    """The verdict on a study.

    Parameters
    ----------
    network : str
    first : str
        The first line: what the network knows, and so what maps of it can explain.
    study : tuple of Finding
        Of tests of the whole study.
    methods : tuple of MethodVerdict
    asides : tuple of Measurement
        What no rule judges, such as the power curve.
    edition : str
        Of the rules.
    rules : tuple of Rule
        All of them, whether applied or not.
    scans, networks : int
    budget : str
    seconds : float
    options : mapping
        What the command was run with.
    versions : mapping of str to str
    """

    network: str
    first: str
    study: tuple[Finding, ...]
    methods: tuple[MethodVerdict, ...]
    asides: tuple[Measurement, ...]
    edition: str
    rules: tuple[Rule, ...]
    scans: int
    networks: int
    budget: str
    seconds: float
    options: Mapping[str, Any]
    versions: Mapping[str, str]

    @property
    def of_study(self) -> tuple[str, ...]:
        """Reasons that hold for every method, each once."""
        return tuple(dict.fromkeys(one.of_study for one in self.methods if one.of_study))

    @property
    def exit_code(self) -> int:
        """0 where all methods may be believed, 3 where one may not, 4 where one was not tested."""
        calls = {one.call for one in self.methods}
        if "do not believe" in calls:
            return 3
        return 4 if "not tested" in calls or not calls else 0
