"""Regions of a mean map, with their spread over subjects and how sure their ranks are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.grid import Grid
from voxplain.group.regions import ranks, region_rows, region_table
from voxplain.maps import RegionTable

__all__ = ["RegionsOverSubjects", "own_regions", "regions_of_rows"]

_DRAWS = 200
_FEWEST_DRAWS = 40
_HELD = 30_000_000
_INTERVAL = (2.5, 97.5)
_AT_ONCE = 40


class RegionsOverSubjects:
    """Maps of subjects on one grid, one after the other, summed up by the regions of atlases.

    The mean map is kept, and beside it the mean maps of other draws of the same participants: each
    takes part in a draw as often as a Poisson number of mean 1 says, which is the bootstrap of data
    that come one by one. No map is held.

    Parameters
    ----------
    atlases : sequence of Atlas
        On the grid.
    brain : array (X, Y, Z), bool
    grid : Grid
    seed : int, default=0
    """

    def __init__(
        self, atlases: Sequence[Atlas], brain: NDArray[np.bool_], grid: Grid, seed: int = 0
    ) -> None:
        self.atlases, self.brain, self.grid = atlases, brain, grid
        self.count = 0
        voxels = int(brain.sum())
        self._total = np.zeros(voxels)
        draws = int(np.clip(_HELD // max(voxels, 1), _FEWEST_DRAWS, _DRAWS))
        self._drawn = np.zeros((draws, voxels), dtype=np.float32)
        self._weight = np.zeros(draws)
        self._rng = np.random.default_rng([seed, 19])
        self._times: dict[str, NDArray[np.int64]] = {}
        self._rows = [_rows(atlas, brain) for atlas in atlases]
        self._means: list[list[NDArray[np.float64]]] = [[] for _ in atlases]
        self._whose: list[str] = []

    def add(self, values: NDArray[np.float32], participant: str) -> None:
        """Take in the map of a scan, array (X, Y, Z), and whose it is."""
        inside = values[self.brain]
        if participant not in self._times:
            self._times[participant] = self._rng.poisson(1.0, len(self._weight))
        times = self._times[participant]
        self.count += 1
        self._total += inside
        for draw in np.flatnonzero(times):
            self._drawn[draw] += times[draw] * inside
        self._weight += times
        self._whose.append(participant)
        for (row, sizes), means in zip(self._rows, self._means, strict=True):
            sums = np.bincount(row, weights=inside, minlength=len(sizes))
            means.append(sums / np.where(sizes > 0, sizes, np.nan))

    def table(self, number: int, method: str, target: str) -> RegionTable:
        """Sum up the mean map.

        Parameters
        ----------
        number : int
            Of the atlas, from 0.
        method, target : str

        Returns
        -------
        RegionTable
            As `region_table` gives it, of the mean map, and beside it ``sd`` (of the region's mean,
            over participants; NaN for one), ``rank_low`` and ``rank_high`` (95 % of the draws).
        """
        mean = np.zeros(self.grid.shape)
        mean[self.brain] = self._total / max(self.count, 1)
        atlas = self.atlases[number]
        found = region_table(mean, atlas, self.brain, grid=self.grid, method=method, target=target)
        frame = found.frame
        frame["sd"] = _spread(np.array(self._means[number]), self._whose)
        low, high = self._rank_interval(number)
        frame["rank_low"], frame["rank_high"] = [*low, np.nan], [*high, np.nan]
        return RegionTable(frame, found.atlas, method, target)

    def _rank_interval(self, number: int) -> NDArray[np.float64]:
        row, sizes = self._rows[number]
        drawn = [
            ranks(_density(np.abs(one) / weight, row, sizes)[:-1], bool(one.any()))
            for one, weight in zip(self._drawn, self._weight, strict=True)
            if weight > 0
        ]
        if len(self._times) < 2 or not drawn:
            return np.full((2, len(sizes) - 1), np.nan)
        return _interval(np.array(drawn))


def regions_of_rows(
    values: NDArray[np.float32],
    atlas: Atlas,
    brain: NDArray[np.bool_],
    *,
    whose: Sequence[str],
    units: Sequence[NDArray[np.int64]],
    seed: int = 0,
) -> pd.DataFrame:
    """Sum up maps that are held as one array by the regions of an atlas.

    Parameters
    ----------
    values : array (N, V), float32
        Of each map, the voxels of the brain.
    atlas : Atlas
    brain : array (X, Y, Z), bool
        On the grid of the atlas, with V voxels.
    whose : sequence of str
        Participant of each map.
    units : sequence of array of int
        Rows that share an effect, such as families: draws of the bootstrap take or leave them
        whole.
    seed : int, default=0

    Returns
    -------
    pandas.DataFrame
        As `RegionsOverSubjects.table` gives it.
    """
    mean = np.zeros(brain.shape)
    mean[brain] = values.mean(axis=0, dtype=np.float64)
    frame = region_table(mean, atlas, brain, grid=atlas.grid, method="", target="").frame
    row, sizes = _rows(atlas, brain)
    sums = np.stack([np.bincount(row, weights=one, minlength=len(sizes)) for one in values])
    frame["sd"] = _spread(sums / np.where(sizes > 0, sizes, np.nan), whose)
    low = high = np.full(len(sizes) - 1, np.nan)
    if len(units) > 1:
        rng, drawn = np.random.default_rng([seed, 19]), []
        for start in range(0, _DRAWS, _AT_ONCE):
            draws = min(_AT_ONCE, _DRAWS - start)
            weights = np.zeros((draws, len(values)), dtype=np.float32)
            for one in weights:
                for unit in rng.integers(len(units), size=len(units)):
                    one[units[unit]] += 1
            drawn += [
                ranks(_density(np.abs(one), row, sizes)[:-1], bool(one.any()))
                for one in weights @ values
            ]
        low, high = _interval(np.array(drawn))
    frame["rank_low"], frame["rank_high"] = [*low, np.nan], [*high, np.nan]
    return frame


def own_regions(
    tables: Sequence[RegionTable], participants: Sequence[str], seed: int = 0
) -> pd.DataFrame:
    """Average tables of regions that each subject's own segmentation gave.

    Parameters
    ----------
    tables : sequence of RegionTable
        One a scan.
    participants : sequence of str
        Whose each is; scans of one participant are averaged first.
    seed : int, default=0
        Of the bootstrap over participants.

    Returns
    -------
    pandas.DataFrame
        A row per region that any of them has: ``label``, ``region``, ``participants`` (who have
        it), means over these of ``voxels``, ``volume_ml``, ``mean``, ``mean_absolute``, ``share``
        and ``density``, ``sd`` (of the region's mean), ``rank`` by mean density, ``rank_low`` and
        ``rank_high``.
    """
    what = ["voxels", "volume_ml", "mean", "mean_absolute", "share", "density"]
    whole = pd.concat(
        [one.frame.assign(whose=who) for one, who in zip(tables, participants, strict=True)]
    )
    whole = whole[whole["voxels"] > 0]
    each = whole.groupby(["whose", "label", "region"], sort=True)[what].mean().reset_index()
    by_region = each.groupby(["label", "region"], sort=True)
    frame = by_region[what].mean()
    frame.insert(0, "participants", by_region.size())
    frame["sd"] = by_region["mean"].std()
    frame = frame.reset_index()
    frame = pd.concat([frame[frame["label"] != 0], frame[frame["label"] == 0]], ignore_index=True)
    named = frame["label"] != 0
    wide = each[each["label"] != 0].pivot_table(index="whose", columns="label", values="density")
    densities = wide.reindex(columns=frame.loc[named, "label"]).to_numpy()
    frame.loc[named, "rank"] = ranks(frame.loc[named, "density"].to_numpy(), len(densities) > 0)
    frame["rank_low"] = frame["rank_high"] = np.nan
    if len(densities) > 1:
        rng, drawn = np.random.default_rng([seed, 19]), []
        for _ in range(_DRAWS):
            some = densities[rng.integers(len(densities), size=len(densities))]
            here = ~np.isnan(some)
            means = np.where(here, some, 0).sum(axis=0) / np.maximum(here.sum(axis=0), 1)
            drawn.append(ranks(np.where(here.any(axis=0), means, np.nan)))
        frame.loc[named, ["rank_low", "rank_high"]] = _interval(np.array(drawn)).T
    return frame


def _rows(atlas: Atlas, brain: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    labels = np.array(sorted(label for label in atlas.names if label != 0), dtype=np.int64)
    row = region_rows(atlas.labels[brain], labels)
    return row, np.bincount(row, minlength=len(labels) + 1)


def _density(
    magnitude: NDArray[np.floating], row: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean magnitude of each region over that of the brain."""
    sums = np.bincount(row, weights=magnitude, minlength=len(sizes))
    whole = sums.sum() / sizes.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sizes > 0, sums / sizes / whole, np.nan)


def _spread(means: NDArray[np.float64], whose: Sequence[str]) -> NDArray[np.float64]:
    people = pd.DataFrame(means).groupby(list(whose)).mean()
    return np.asarray(people.std(), dtype=np.float64)


def _interval(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bounds of most draws, as ranks that were drawn: array (2, R)."""
    low, high = np.percentile(drawn, _INTERVAL, axis=0, method="closest_observation")
    return np.stack([low, high])
