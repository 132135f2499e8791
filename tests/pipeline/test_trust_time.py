"""How the time of a verdict is shared out, and rules that count what is there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from voxplain.pipeline.trust.data.origin import _rectifiers
from voxplain.pipeline.trust.data.scans import _masks
from voxplain.pipeline.trust.maps.counts import comparing, counts_within, scoring
from voxplain.pipeline.trust.maps.reference import share_left
from voxplain.pipeline.trust.order import TESTS
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.pipeline.trust.steps import Budget, run_tests
from voxplain.progress import Silent
from voxplain.results.trust import Measurement
from voxplain.study import Study
from voxplain.trust.rules import apply


def methods(**counts: int) -> Any:
    """A case of which nothing is known but how many maps each method has, and what one took."""
    made = {
        name: SimpleNamespace(maps=[SimpleNamespace(sidecar={"Seconds": 0.3 * (i + 1)})] * count)
        for i, (name, count) in enumerate(counts.items())
    }
    return SimpleNamespace(methods=made, brain=np.ones((10, 10, 10), bool))


def test_what_a_comparison_and_a_pass_take() -> None:
    case = methods(slow=2, quick=2)
    assert comparing(case, 60) == pytest.approx(60 * 1000 * 3e-6)
    # The quickest map took .3 s, and is worth three passes.
    assert scoring(case, 12) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        # A tenth of it: six of either.
        (1200.0, {"slow": 6, "quick": 6}),
        # 24 s: two rounds of 11 s, and what is left is enough for the quick one twice.
        (240.0, {"slow": 2, "quick": 4}),
        # One each takes 11 s, less than half of 30.
        (30.0, {"slow": 1, "quick": 1}),
        # Half of it is 8 s: the quick ones alone.
        (16.0, {"slow": 0, "quick": 6}),
        (1.0, {"slow": 0, "quick": 0}),
    ],
)
def test_each_method_is_asked_once_before_one_is_asked_twice(
    seconds: float, found: Mapping[str, int]
) -> None:
    costs = {"slow": 10.0, "quick": 1.0}
    assert counts_within(methods(slow=9, quick=9), seconds, costs, 6) == found


def test_no_method_is_left_out_by_rounding() -> None:
    """One scan of each method fits exactly; their sum minus all but the last is a little less."""
    costs = {"a": 13.574042765875694, "b": 5.335855753054643, "c": 12.29655446429944,
             "d": 6.75655620602559, "e": 13.631789223498865, "f": 10.414612202490918}  # fmt: skip
    found = counts_within(methods(**dict.fromkeys(costs, 9)), 3 * sum(costs.values()), costs, 6)
    assert found == dict.fromkeys(costs, 1)


def test_a_test_that_needs_several_scans_asks_so_many_or_none() -> None:
    costs = {"slow": 10.0, "quick": 1.0}

    def counts(seconds: float, there: int = 9) -> dict[str, int]:
        return counts_within(methods(slow=there, quick=there), seconds, costs, 6, fewest=3)

    assert counts(1200.0) == {"slow": 6, "quick": 6}
    # Three each take 33 s, half of 66; a tenth of it would not do.
    assert counts(66.0) == {"slow": 3, "quick": 3}
    # Half of it is 32 s: not enough for three slow ones, and the quick one gets all.
    assert counts(64.0) == {"slow": 0, "quick": 6}
    assert counts(5.0) == {"slow": 0, "quick": 0}
    # Of fewer maps than that all are asked; the rule says that they are too few.
    assert counts(1200.0, there=2) == {"slow": 2, "quick": 2}


def test_no_more_scans_than_there_are_maps() -> None:
    found = counts_within(methods(slow=1, quick=9), 1e6, {"slow": 1.0, "quick": 1.0}, 6)
    assert found == {"slow": 1, "quick": 6}


def test_the_spike_in_comes_before_all_that_costs() -> None:
    names = [one.name for one in TESTS]
    assert names[: names.index("spike-in")] == ["knowledge", "scans", "atlas", "origin"]
    assert names.index("null") > names.index("stability")


def one_test(name: str, seconds: float, done: list[str], least: float = 0.0) -> Test:
    """A test that takes no time, and foretells some."""

    def plan(case: Any, left: float) -> Plan | str:
        return Plan(1, seconds) if left >= max(seconds, least) else f"needs {seconds:.0f} s."

    def run(case: Any, plan: Plan, progress: Any) -> list[Measurement]:
        done.append(name)
        return [Measurement("grid", "gradient", 0.0, "So it is.")]

    return Test(name, ("grid",), name.title(), run, lambda case: {}, plan)


def test_time_that_was_not_needed_is_used(tmp_path: Path) -> None:
    done: list[str] = []
    case: Any = SimpleNamespace(study=Study(tmp_path, "voxplain study", "0"))
    now = time.perf_counter()
    # The first foretells 500 s of 600, and takes none, so that the second has its 300.
    tests = [one_test("first", 500, done), one_test("second", 300, done)]
    found = run_tests(case, tests, Budget("10m", now), False, Silent())
    assert done == ["first", "second"]
    assert [one.value for one in found] == [0.0, 0.0]
    # A rerun does nothing anew, although what is kept takes no time.
    assert run_tests(case, tests, Budget("10m", now), False, Silent()) == found
    assert done == ["first", "second"]
    late = [one_test("third", 900, done)]
    (left,) = run_tests(case, late, Budget("10m", now), False, Silent())
    assert (left.value, left.words) == (None, "needs 900 s.")


@pytest.mark.parametrize(
    ("scan", "last", "asked"),
    [
        # Of 600 s the first foretells 300, so that .9 of the rest are planned for two scans. It
        # takes none: .9 of 600 s are five scans, and the last one's time is left.
        (100, 90, 5),
        # Five would take 515 s, and leave less than the 94 that the last needs.
        (103, 94, 2),
    ],
)
def test_more_scans_are_asked_where_time_was_not_needed(
    tmp_path: Path, scan: float, last: float, asked: int
) -> None:
    case: Any = SimpleNamespace(study=Study(tmp_path, "voxplain study", "0"))
    sizes: list[float] = []

    def plan(case: Any, left: float) -> Plan | str:
        scans = int(0.9 * left / scan)
        return Plan(scans, scans * scan)

    def run(case: Any, plan: Plan, progress: Any) -> list[Measurement]:
        sizes.append(plan.size)
        return [Measurement("grid", "gradient", 0.0, "So it is.")]

    growing = Test("growing", ("grid",), "Growing", run, lambda case: {}, plan)
    done: list[str] = []
    tests = [one_test("first", 300, done), growing, one_test("last", last, done)]
    run_tests(case, tests, Budget("10m", time.perf_counter()), True, Silent())
    assert sizes == [asked]
    assert done == ["first", "last"]
    # Parts are planned in the whole budget, and stay as they were planned.
    run_tests(case, tests, Budget("10m", time.perf_counter()), True, Silent(), [growing])
    assert sizes == [asked, 2]


def test_what_no_rule_judges_says_why_it_was_left_out(tmp_path: Path) -> None:
    case: Any = SimpleNamespace(study=Study(tmp_path, "voxplain study", "0"))
    one = one_test("power", 900, [])
    bare = Test("power", (), "How many", one.run, one.reads, one.plan)
    now = time.perf_counter()
    (found,) = run_tests(case, [bare], Budget("10m", now), False, Silent())
    assert (found.test, found.words) == ("power", "How many: not tested. needs 900 s.")


@pytest.mark.parametrize(("leaky", "outcome"), [(False, "pass"), (True, "fail")])
def test_masks_are_counted(tmp_path: Path, leaky: bool, outcome: str) -> None:
    """Masks of training scans are none of held-out scans: nothing is left to chance."""
    study = Study(tmp_path, "voxplain study", "0")
    study.write_json("summary.json", {"reclassify": {"options": {"leaky": leaky}}})
    (found,) = _masks(SimpleNamespace(study=study))  # type: ignore[arg-type]
    assert (found.value, apply(found).outcome) == (int(leaky), outcome)


@pytest.mark.parametrize(("reached", "outcome"), [(5, "pass"), (1, "pass"), (0, "fail")])
def test_rectifiers_are_counted(reached: int, outcome: str) -> None:
    """A network in which a ReLU was reached passes, whatever its weights and scans are."""
    notes = [f"{reached} ReLU calls let through positive gradients alone"]
    maps: Any = SimpleNamespace(maps=[SimpleNamespace(sidecar={"Provenance": {"notes": notes}})])
    found = _rectifiers("guided-backprop", maps)
    assert (found.value, apply(found).outcome) == (reached, outcome)


def test_a_reference_of_one_class_keeps_that_class_alone() -> None:
    assert share_left({"a": [0.9, 0.8, 0.1], "b": [-0.4, -2.0]}) == pytest.approx((2 / 3 + 0) / 2)
