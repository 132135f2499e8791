"""Mean maps by name."""

from __future__ import annotations

from collections.abc import Sequence

from voxplain.results.study import MeanMap

__all__ = ["shown_label"]


def shown_label(one: MeanMap, means: Sequence[MeanMap]) -> str:
    """Name the method of a mean map; also its network and rule where there are several.

    Parameters
    ----------
    one : MeanMap
    means : sequence of MeanMap
        All that are shown.
    """
    rules = {
        other.rule
        for other in means
        if (other.method, other.target, other.network) == (one.method, one.target, one.network)
    }
    several = len({other.network for other in means}) > 1
    network = f", {one.network}" if several and one.network else ""
    return f"{one.label}{network}" + f" (target {one.rule})" * (len(rules) > 1)
