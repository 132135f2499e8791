"""Averages over subjects, one map at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid, require_same_grid
from voxplain.maps import AttributionMap, GroupMap
from voxplain.volume import smooth

__all__ = ["RunningMean", "mean_magnitude", "mean_map"]

_TRAITS = ("method", "target", "unit")


class RunningMean:
    """The mean of signed maps that come one by one, none of which is held.

    The sum is kept in float64. Nothing is made absolute, clipped or scaled first: what is noise in
    one subject cancels in the mean.

    Attributes
    ----------
    count : int
        Maps so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._total: NDArray[np.float64] = np.zeros(())
        self._first: tuple[Grid, str, dict[str, str]] | None = None
        self._named: set[str] = set()
        self._nameless = 0

    def add(self, one: AttributionMap) -> None:
        """Take in a map.

        Parameters
        ----------
        one : AttributionMap
            On the grid of the first, and of its method, target and unit.

        Raises
        ------
        GridError
            If it lies on another grid.
        InputError
            If it is no map, or differs in method, target or unit.
        """
        if not isinstance(one, AttributionMap):
            raise InputError(
                "A mean map needs several AttributionMap, in a list or from a generator; "
                f"{type(one).__name__} was given."
            )
        traits = {name: getattr(one, name) for name in _TRAITS}
        self._first = self._first or (one.grid, one.subject, traits)
        grid, subject, wanted = self._first
        require_alike(traits, wanted, "A mean map")
        require_same_grid(grid, one.grid, f"The maps of {subject!r} and {one.subject!r}")
        self._total = self._total + one.values
        self.count += 1
        if one.subject:
            self._named.add(one.subject)
        else:
            self._nameless += 1

    def map(self) -> GroupMap:
        """Return the mean.

        Returns
        -------
        GroupMap
            With `n_subjects` the number of different subjects: several maps of one subject, from
            several networks or sessions, count as one subject. Maps without a subject label count
            as one subject each.

        Raises
        ------
        InputError
            If there was no map.
        """
        if self._first is None:
            raise InputError("A mean map needs at least one map; none was given.")
        grid, _, traits = self._first
        return GroupMap(
            values=(self._total / self.count).astype(np.float32),
            grid=grid,
            statistic="mean",
            n_subjects=len(self._named) + self._nameless,
            **traits,
        )


def require_alike(traits: Mapping[str, str], wanted: Mapping[str, str], what: str) -> None:
    """Raise InputError where a map's method, target or unit is another than that of the first."""
    for name, value in traits.items():
        if value != wanted[name]:
            raise InputError(
                f"{what} needs maps of one {name}; {wanted[name]!r} and {value!r} were "
                "given: average each by itself."
            )


def mean_map(maps: Iterable[AttributionMap]) -> GroupMap:
    """Average the signed maps of several subjects; see `RunningMean`.

    Parameters
    ----------
    maps : iterable of AttributionMap
        On one grid, of one method, target and unit. They are taken one by one and may come from a
        generator.

    Returns
    -------
    GroupMap

    Raises
    ------
    GridError
        If the maps do not share a grid.
    InputError
        If there is no map, or the maps differ in method, target or unit.
    """
    mean = RunningMean()
    for one in maps if isinstance(maps, Iterable) else [maps]:
        mean.add(one)
    return mean.map()


def mean_magnitude(maps: Iterable[AttributionMap], fwhm: float) -> GroupMap:
    """Average the magnitudes of several subjects' maps, each smoothed first.

    For effects whose sign differs from subject to subject, such as an interaction of two regions,
    which cancel in the signed mean. Noise does not cancel here, so the mean is above 0 everywhere.

    Parameters
    ----------
    maps : iterable of AttributionMap
        As `mean_map` takes them.
    fwhm : float, mm
        By which each is smoothed before its sign is dropped; 0 for maps that are smooth already.

    Returns
    -------
    GroupMap
        Zero or more.

    Raises
    ------
    GridError
        If the maps do not share a grid.
    InputError
        If the width is negative, there is no map, or the maps differ in method, target or unit.
    """
    if not fwhm >= 0:
        raise InputError(f"A width must be 0 mm or more; {fwhm} was given.")
    mean = RunningMean()
    for one in maps:
        mean.add(replace(one, values=np.abs(smooth(one.values, one.grid, fwhm))))
    return replace(mean.map(), statistic="mean magnitude")
