"""Averages over subjects, one map at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import require_same_grid
from voxplain.maps import AttributionMap, GroupMap

__all__ = ["mean_map"]


def mean_map(maps: Iterable[AttributionMap]) -> GroupMap:
    """Average the signed maps of several subjects.

    Maps are taken one by one and may come from a generator; the sum is kept in float64. Nothing
    is made absolute, clipped or scaled first: what is noise in one subject cancels in the mean.

    Parameters
    ----------
    maps : iterable of AttributionMap
        On one grid, of one method, target and unit.

    Returns
    -------
    GroupMap
        With `n_subjects` the number of different subjects: several maps of one subject, from
        several networks or sessions, count as one subject. Maps without a subject label count
        as one subject each.

    Raises
    ------
    GridError
        If the maps do not share a grid.
    InputError
        If there is no map, or the maps differ in method, target or unit.
    """
    first: AttributionMap | None = None
    total: NDArray[np.float64] = np.zeros(())
    count = nameless = 0
    named: set[str] = set()
    for one in maps if isinstance(maps, Iterable) else [maps]:
        if not isinstance(one, AttributionMap):
            raise InputError(
                "A mean map needs several AttributionMap, in a list or from a generator; "
                f"{type(one).__name__} was given."
            )
        first = first or one
        for trait in ("method", "target", "unit"):
            if getattr(one, trait) != getattr(first, trait):
                raise InputError(
                    f"A mean map needs maps of one {trait}; {getattr(first, trait)!r} and "
                    f"{getattr(one, trait)!r} were given: average each by itself."
                )
        what = f"The maps of {first.subject!r} and {one.subject!r}"
        require_same_grid(first.grid, one.grid, what)
        total = total + one.values
        count += 1
        if one.subject:
            named.add(one.subject)
        else:
            nameless += 1
    if first is None:
        raise InputError("A mean map needs at least one map; none was given.")
    return GroupMap(
        values=(total / count).astype(np.float32),
        grid=first.grid,
        method=first.method,
        target=first.target,
        statistic="mean",
        n_subjects=len(named) + nameless,
        unit=first.unit,
    )
