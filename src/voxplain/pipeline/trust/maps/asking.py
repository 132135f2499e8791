"""Tests that ask networks about some scans of each method: what they are given, and take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from voxplain.errors import InputError, VoxplainError
from voxplain.pipeline.trust.case import Case, StudyMap
from voxplain.pipeline.trust.maps.again import Maker, seconds_of
from voxplain.pipeline.trust.maps.counts import comparing, counts_within, scoring
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.progress import Progress
from voxplain.results.trust import Measurement
from voxplain.trust import Comparison, Envelope

__all__ = ["DRAWS", "Asked", "Cost", "over_scans"]

DRAWS: Final = 60
"""Random maps that two maps are held beside."""

_SCANS = 6
_SEED_STEP = 7919


@dataclass(frozen=True, eq=False)
class Asked:
    """One scan of one method, ready to be asked about.

    Parameters
    ----------
    case : Case
    maker : Maker
    one : StudyMap
    """

    case: Case
    maker: Maker
    one: StudyMap

    def comparison(self) -> Comparison:
        """Compare maps of this scan, which share the brain and what the scan makes strong."""
        volume = self.case.cohort[self.one.row]
        envelope = Envelope(volume.grid, (volume.values,))
        seed = self.case.seed + _SEED_STEP * self.one.row
        return Comparison(self.case.brain, seed=seed, draws=DRAWS, envelope=envelope)


Measure = Callable[[str, Sequence[Asked]], Sequence[Measurement]]


def _over_methods(
    rules: tuple[str, ...], measure: Measure
) -> Callable[[Case, Plan, Progress], list[Measurement]]:
    """Ask some scans of each method; what cannot be asked says why, and leaves the others."""

    def run(case: Case, plan: Plan, progress: Progress) -> list[Measurement]:
        counts: Mapping[str, int] = (plan.settings or {})["scans"]
        found: list[Measurement] = []
        with progress.step(str((plan.settings or {})["title"]), len(counts)) as advance:
            for done, (name, count) in enumerate(counts.items(), start=1):
                found += _of_method(case, name, count, rules, measure)
                advance(done)
        return found

    return run


def _of_method(
    case: Case, name: str, count: int, rules: tuple[str, ...], measure: Measure
) -> Sequence[Measurement]:
    maps = case.methods[name]
    try:
        if not count:
            raise InputError("The budget has no time for it.")
        maker = Maker(case, name)
        chosen = [maps.maps[i] for i in case.sample(len(maps.maps), count)]
        usable = [one for one in chosen if one.load().values.shape == case.brain.shape]
        if not usable:
            raise InputError("The maps have another shape than the scans.")
        return measure(name, [Asked(case, maker, one) for one in usable])
    except VoxplainError as error:
        return [Measurement(rule, name, None, str(error)) for rule in rules]


@dataclass(frozen=True)
class Cost:
    """What asking about one scan takes.

    Parameters
    ----------
    maps : int
        That are made.
    draws : int
        Random maps.
    passes : int
        Through the network, besides those of the maps.
    fewest : int, default=1
        Scans without which the test can tell nothing.
    """

    maps: int
    draws: int
    passes: int = 0
    fewest: int = 1

    def of(self, case: Case, name: str) -> float:
        """Foretell the seconds for a method."""
        made = self.maps * seconds_of(case.methods[name])
        return made + comparing(case, self.draws) + scoring(case, self.passes)


def _planner(title: str, cost: Cost) -> Callable[[Case, float], Plan | str]:
    """Plan for as many scans as the time allows."""

    def plan(case: Case, seconds: float) -> Plan | str:
        costs = {name: max(cost.of(case, name), 1e-3) for name in case.methods}
        counts = counts_within(case, seconds, costs, _SCANS, cost.fewest)
        if not any(counts.values()):
            return "The budget has no time for it."
        most = max(counts.values())
        words = f"{most} scan{'s' * (most > 1)} a method"
        time = sum(n * costs[name] for name, n in counts.items())
        return Plan(float(sum(counts.values())), time, words, {"scans": counts, "title": title})

    return plan


def _reads(case: Case) -> Mapping[str, Any]:
    return {
        "weights": case.weights_sha256,
        "scans": case.scans_sha256,
        "maps": {name: case.maps_sha256(name) for name in case.methods},
        "seed": case.seed,
    }


def over_scans(name: str, rules: tuple[str, ...], title: str, measure: Measure, cost: Cost) -> Test:
    """Declare a test that asks some scans of each method, as many as there is time for."""
    run, plan = _over_methods(rules, measure), _planner(title, cost)
    return Test(name, rules, title, run, _reads, plan)
