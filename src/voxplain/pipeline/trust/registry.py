"""How a test of a study is declared, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxplain.pipeline.trust.case import Case
from voxplain.progress import Progress
from voxplain.results.trust import Measurement

__all__ = ["Plan", "Test", "cheap"]


@dataclass(frozen=True)
class Plan:
    """How thoroughly a test is done, and what that takes.

    Parameters
    ----------
    size : float
        Of the test done thus; what an earlier run found with this size or a larger one is kept.
    seconds : float
        That it will take, as foretold.
    words : str
        What is done, for the user, before it is: ``"3 trainings on 40 scans"``.
    settings : mapping
        For the test itself.
    """

    size: float = 1.0
    seconds: float = 0.0
    words: str = ""
    settings: Mapping[str, Any] | None = None


Planner = Callable[[Case, float], Plan | str]
"""From the study and the seconds that are left to a plan, or to the reason why there is none."""


def cheap(case: Case, seconds: float) -> Plan | str:
    """Plan a test that takes no time worth telling."""
    del case, seconds
    return Plan()


@dataclass(frozen=True)
class Test:
    """A test of a study: it measures what one rule or several judge.

    Parameters
    ----------
    name : str
        Of its file below ``trust/`` in the study.
    rules : tuple of str
        Tests of the table of rules that it measures. What it gives no measurement for, although
        asked, is left out as not applying.
    title : str
        Shown while it runs.
    run : callable
        From the study, the plan and a progress to measurements.
    reads : callable
        From the study to all that the measurements depend on besides voxplain's version and the
        plan's size, ready for JSON: hashes of weights and maps, options, the seed. Where it is the
        same, an earlier run's measurements are kept.
    plan : callable
        From the study and the seconds that are left to a plan, or to the reason why the test cannot
        be done or not within the time; it then counts as not tested, with that reason.
    """

    __test__ = False

    name: str
    rules: tuple[str, ...]
    title: str
    run: Callable[[Case, Plan, Progress], Sequence[Measurement]]
    reads: Callable[[Case], Mapping[str, Any]]
    plan: Planner = cheap
