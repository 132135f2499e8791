"""``voxplain trust`` in parts: one test is a unit, and its measurements are kept in the study."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from voxplain.errors import InputError
from voxplain.pipeline.shards.manifest import (
    BUSY,
    STORE,
    Manifest,
    cohort_hashes,
    find_manifest,
    fixed_run,
)
from voxplain.pipeline.shards.parts import Part, PartRecord
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.opening import TrustOptions, open_case
from voxplain.pipeline.trust.order import TESTS
from voxplain.pipeline.trust.registry import Test
from voxplain.pipeline.trust.steps import Budget, run_tests
from voxplain.pipeline.trust.training.budget import MOST_FOLDS
from voxplain.pipeline.trust.training.power import require_numbers
from voxplain.pipeline.trust.training.retrained import RETRAINED, SPIKE_IN
from voxplain.progress import Progress
from voxplain.results.trust import Rule
from voxplain.study.locks import at_work
from voxplain.trust.rules import RULES, read_rules

__all__ = ["asked_tests", "find_trust_run", "trust_part"]


def asked_tests(options: TrustOptions) -> tuple[Case, Mapping[str, Rule], list[Test]]:
    """Open a study, and choose the tests that its verdict asks for.

    Raises
    ------
    VoxplainError
        If the study cannot be judged, or the rules cannot be used.
    """
    rules = RULES if options.rules is None else read_rules(options.rules)
    case = open_case(options)
    require_numbers(options.power, len(case.cohort), min(len(case.fits), MOST_FOLDS))
    return case, rules, [one for one in TESTS if _wanted(one, rules, case)]


def trust_part(
    options: TrustOptions, part: Part, progress: Progress, name: str | None = None
) -> str:
    """Do some of the tests, for `run_trust` to judge by.

    All parts plan all tests within the whole budget, so that each is as thorough as in an unbroken
    run, and do their own.

    Parameters
    ----------
    options : TrustOptions
    part : Part
    progress : Progress
    name : str, optional
        Of the run, as part 0 returns it; by default the one that was asked the same.

    Returns
    -------
    str
        Name of the run.

    Raises
    ------
    VoxplainError
        As `run_trust`; and if weights or maps changed since the run was fixed.
    """
    if options.replace:
        raise InputError("--replace measures all anew in one run; leave it out, or --shard.")
    with at_work(options.study / STORE, together=True, busy=BUSY.format(options.study)):
        case, _, tests = asked_tests(options)
        manifest = fixed_run(case.study, "trust", _asked(options), _found(case, tests), name)
        if part.number:
            mine = _dealt(tests, part)
            record = PartRecord(case.study, manifest.name, part, len(mine))
            with record.kept():
                budget = Budget(options.budget, time.perf_counter())
                run_tests(case, tests, budget, False, progress, mine)
                record.done = len(mine)
        return manifest.name


def find_trust_run(options: TrustOptions, case: Case, tests: Sequence[Test]) -> Manifest | None:
    """Find the run whose parts did some of the tests; None where there is none.

    Raises
    ------
    StudyError
        If weights or maps changed since the run was fixed.
    """
    kept = find_manifest(case.study, _asked(options), None)
    if kept is not None:
        kept.require(_found(case, tests), case.study)
    return kept


def _wanted(test: Test, rules: Mapping[str, Rule], case: Case) -> bool:
    """Tell whether a rule judges a test, or it is the power curve, asked for."""
    return any(name in rules for name in test.rules) or (not test.rules and bool(case.power))


def _dealt(tests: Sequence[Test], part: Part) -> list[Test]:
    """Deal tests out, those first that train networks."""
    costly = [one for one in tests if one is SPIKE_IN or one in RETRAINED]
    order = [*costly, *(one for one in tests if one not in costly)]
    return order[part.number - 1 :: part.of]


def _asked(options: TrustOptions) -> dict[str, Any]:
    told = {key: value for key, value in asdict(options).items() if key not in ("study", "replace")}
    asked: dict[str, Any] = {"verdict": json.loads(json.dumps(told, default=str))}
    return asked


def _found(case: Case, tests: Sequence[Test]) -> dict[str, Any]:
    """Hash the cohort, and all that each test reads."""
    hashes = {}
    for test in tests:
        text = json.dumps(dict(test.reads(case)), sort_keys=True, default=str)
        hashes[test.name] = hashlib.sha256(text.encode()).hexdigest()
    return {**cohort_hashes(case.study), "tests_sha256": hashes}
