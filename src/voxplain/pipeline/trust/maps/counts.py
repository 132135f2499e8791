"""Of how many scans each method is asked within the time, for tests that train nothing."""

from __future__ import annotations

from collections.abc import Mapping

from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.maps.again import seconds_of

__all__ = ["comparing", "counts_within", "scoring"]

# Seconds a voxel of the brain and a random map, on one core.
_DRAW = 3e-6
# A map by the quickest method is a pass forward and one backward, which is worth two.
_PASSES = 3
_SHARE, _MOST = 0.1, 0.5
# Sums of seconds differ in their last digits by the order in which they are taken.
_ROUNDING = 1e-6


def comparing(case: Case, draws: int) -> float:
    """Foretell the seconds of holding two maps beside each other and so many random maps."""
    return _DRAW * draws * float(case.brain.sum())


def scoring(case: Case, passes: int) -> float:
    """Foretell the seconds of so many passes through the network, from its quickest maps."""
    return passes * min(seconds_of(maps) for maps in case.methods.values()) / _PASSES


def counts_within(
    case: Case, seconds: float, costs: Mapping[str, float], most: int, fewest: int = 1
) -> dict[str, int]:
    """Say of how many scans each method can be asked: the fewest first, then one more each.

    A test takes a tenth of the time that is left, or more where the fewest scans of each method
    need it, but never more than half.

    Parameters
    ----------
    case : Case
    seconds : float
        That are left.
    costs : mapping of str to float, seconds
        That one scan of each method takes.
    most : int
        Scans of a method.
    fewest : int, default=1
        Of which the test can tell anything.

    Returns
    -------
    dict of str to int
        By method. Where the fewest do not fit, the quick methods come first.
    """
    found = dict.fromkeys(case.methods, 0)
    there = {name: len(maps.maps) for name, maps in case.methods.items()}
    allowed = max(_SHARE * seconds, min(fewest * sum(costs.values()), _MOST * seconds))
    allowed += _ROUNDING
    for number in range(most):
        for name in sorted(found, key=lambda one: costs[one]):
            first = min(fewest, there[name])
            before, more = (first + number - 1, 1) if number else (0, first)
            fits = before + more <= min(most, there[name]) and more * costs[name] <= allowed
            if found[name] == before and fits:
                found[name] += more
                allowed -= more * costs[name]
    return found
