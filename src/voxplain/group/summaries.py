"""Mean, variance and count of maps in the cells of a study, one map at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.group.aggregate import require_alike
from voxplain.maps import AttributionMap, GroupMap
from voxplain.volume import resample

__all__ = ["RunningMoments", "Summaries"]


class RunningMoments:
    """Mean and variance of arrays that come one by one (Welford 1962), in float64.

    Attributes
    ----------
    count : int
    mean : array
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(())
        self._squares: NDArray[np.float64] = np.zeros(())

    def add(self, values: NDArray[np.float32]) -> None:
        """Take in an array of the shape of the first."""
        self.count += 1
        step = values.astype(np.float64) - self.mean
        self.mean = self.mean + step / self.count
        self._squares = self._squares + step * (values - self.mean)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Variance over the arrays, unbiased; of fewer than two there is none.

        Raises
        ------
        InputError
            If there were fewer than two.
        """
        if self.count < 2:
            raise InputError(f"A variance needs two maps or more; there is {self.count}.")
        return np.asarray(self._squares / (self.count - 1), dtype=np.float64)


class Summaries:
    """Moments of maps per class, per correctness of the prediction, per fold, or what else.

    Memory does not grow with the number of maps. One that lies on another grid is brought to that
    of the first by the affines; where values are shares of a sum, by volume as well.

    Attributes
    ----------
    moved : list of str
        Subjects whose maps lay on another grid.
    """

    def __init__(self) -> None:
        self.moved: list[str] = []
        self._cells: dict[tuple[str, str], RunningMoments] = {}
        self._first: tuple[Grid, dict[str, str]] | None = None

    def add(self, one: AttributionMap, cells: Mapping[str, object]) -> None:
        """Take in a map.

        Parameters
        ----------
        one : AttributionMap
            Of the method, target and unit of the first.
        cells : mapping of str to object
            From a factor to the map's level: ``{"class": "case", "fold": 2}``.

        Raises
        ------
        InputError
            If it differs in method, target or unit.
        """
        traits = {"method": one.method, "target": one.target, "unit": one.unit}
        self._first = self._first or (one.grid, traits)
        grid, wanted = self._first
        require_alike(traits, wanted, "A summary")
        values = one.values
        if not one.grid.same_as(grid):
            values = resample(values, one.grid, grid)
            if one.additive:
                values = values * np.float32(grid.voxel_volume / one.grid.voxel_volume)
            self.moved.append(one.subject)
        for factor, level in {"all": "all", **cells}.items():
            self._cells.setdefault((factor, str(level)), RunningMoments()).add(values)

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the maps of each level of each factor; ``all`` holds all."""
        found: dict[str, dict[str, int]] = {}
        for (factor, level), moments in sorted(self._cells.items()):
            found.setdefault(factor, {})[level] = moments.count
        return found

    def map(self, statistic: str, factor: str = "all", level: object = "all") -> GroupMap:
        """Return a statistic of the maps of one level.

        Parameters
        ----------
        statistic : {"mean", "variance"}
        factor : str, default="all"
        level : object, default="all"

        Returns
        -------
        GroupMap

        Raises
        ------
        InputError
            If there is no such level, or only one map for a variance.
        """
        moments = self._cells.get((factor, str(level)))
        if moments is None or self._first is None:
            raise InputError(f"There is no map with {factor} {level!r}; there are {self.counts()}.")
        grid, traits = self._first
        values = moments.mean if statistic == "mean" else moments.variance
        unit = traits["unit"] if statistic == "mean" else f"({traits['unit']})²"
        return GroupMap(
            values.astype(np.float32),
            grid,
            traits["method"],
            traits["target"],
            statistic,
            moments.count,
            unit,
        )
