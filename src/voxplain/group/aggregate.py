"""Averages over subjects, one map at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid, require_same_grid
from voxplain.maps import AttributionMap, GroupMap
from voxplain.volume import Volume

__all__ = ["mean_map", "mean_volume"]


class _RunningMean:
    """A sum in float64 that grows by one volume at a time, all on the first one's grid."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._total = np.zeros(grid.shape, dtype=np.float64)
        self._count = 0

    def add(self, values: NDArray[np.float32], grid: Grid, what: str) -> None:
        require_same_grid(self._grid, grid, what)
        self._total += values
        self._count += 1

    def mean(self) -> NDArray[np.float32]:
        return (self._total / self._count).astype(np.float32)


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
    running: _RunningMean | None = None
    named: set[str] = set()
    nameless = 0
    for one in maps:
        if first is None or running is None:
            first, running = one, _RunningMean(one.grid)
        for trait in ("method", "target", "unit"):
            if getattr(one, trait) != getattr(first, trait):
                raise InputError(
                    f"A mean map needs maps of one {trait}; {getattr(first, trait)!r} and "
                    f"{getattr(one, trait)!r} were given: average each by itself."
                )
        running.add(one.values, one.grid, f"The maps of {first.subject!r} and {one.subject!r}")
        if one.subject:
            named.add(one.subject)
        else:
            nameless += 1
    if first is None or running is None:
        raise InputError("A mean map needs at least one map; none was given.")
    return GroupMap(
        values=running.mean(),
        grid=first.grid,
        method=first.method,
        target=first.target,
        statistic="mean",
        n_subjects=len(named) + nameless,
        unit=first.unit,
    )


def mean_volume(volumes: Iterable[Volume]) -> Volume:
    """Average several scans, as a background for group maps.

    Parameters
    ----------
    volumes : iterable of Volume
        On one grid; a `Cohort` is one, or a generator.

    Returns
    -------
    Volume
        Without a subject label.

    Raises
    ------
    GridError
        If the volumes do not share a grid.
    InputError
        If there is no volume.
    """
    first: Volume | None = None
    running: _RunningMean | None = None
    for one in volumes:
        if first is None or running is None:
            first, running = one, _RunningMean(one.grid)
        running.add(one.values, one.grid, f"The scans of {first.subject!r} and {one.subject!r}")
    if first is None or running is None:
        raise InputError("A mean volume needs at least one volume; none was given.")
    return Volume(running.mean(), first.grid)
