"""A map summed up by named regions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxplain.atlas import Atlas
from voxplain.errors import GridError, InputError, unknown_name
from voxplain.grid import Grid, require_same_grid
from voxplain.maps import RegionTable

__all__ = ["OUTSIDE", "ranks", "ranks_of", "region_rows", "region_table"]

OUTSIDE = "outside regions"
"""Name of the row, with label 0, for the part of the brain that no region covers."""


def region_table(
    values: ArrayLike, atlas: Atlas, brain: ArrayLike, *, grid: Grid, method: str, target: str
) -> RegionTable:
    """Sum up a map by the regions of an atlas, inside the brain alone.

    Parameters
    ----------
    values : array (X, Y, Z)
        Signed map.
    atlas : Atlas
        On the map's grid; ``atlas.on(grid)`` brings it there.
    brain : array (X, Y, Z), bool
        On the map's grid.
    grid : Grid
        Where the map lies.
    method, target : str
        Passed on to the table.

    Returns
    -------
    RegionTable
        One row per region in the order of the labels, then one named `OUTSIDE` with label 0 and
        no rank. Columns:

        - ``label``, ``region``;
        - ``voxels``, ``volume_ml``: of the region's part inside the brain;
        - ``mean``, ``mean_absolute``: of the values, and of their magnitudes;
        - ``peak``: the value of largest magnitude, with its sign, and ``peak_x``, ``peak_y``,
          ``peak_z``, where it lies (mm);
        - ``share``: the row's share of the summed absolute map inside the brain; all rows
          together give 1;
        - ``density``: ``share`` over the row's share of the brain's volume, 1 for what size alone
          would give; it is the region's mean absolute value over that of the brain;
        - ``rank``: 1 for the highest density. Regions that tie share the worst of their ranks, so
          that a tie never flatters. Regions without a voxel come last and have no mean, peak or
          density. There are no ranks and densities (NaN), and shares of 0, where the map is zero.

    Raises
    ------
    GridError
        If the atlas, the map or the mask is not on the grid.
    InputError
        If the mask is not boolean or is empty, or the map is not finite inside it.
    """
    require_same_grid(atlas.grid, grid, f"The atlas {atlas.name!r} and the map")
    mask, inside = _inside(values, brain, grid)
    labels = np.array(sorted(label for label in atlas.names if label != 0), dtype=np.int64)
    row = region_rows(atlas.labels[mask], labels)
    n_rows = len(labels) + 1

    voxels = np.bincount(row, minlength=n_rows)
    absolute = np.bincount(row, weights=np.abs(inside), minlength=n_rows)
    signed = np.bincount(row, weights=inside, minlength=n_rows)
    total = float(absolute.sum())
    empty = voxels == 0
    count = np.where(empty, 1, voxels)
    share = absolute / total if total > 0 else np.zeros(n_rows)
    density = np.where(empty | (total == 0), np.nan, share / (count / len(inside)))
    frame = pd.DataFrame(
        {
            "label": [*labels.tolist(), 0],
            "region": [*(atlas.names[label] for label in labels.tolist()), OUTSIDE],
            "voxels": voxels,
            "volume_ml": voxels * grid.voxel_volume / 1000,
            "mean": np.where(empty, np.nan, signed / count),
            "mean_absolute": np.where(empty, np.nan, absolute / count),
            **_peaks(inside, row, n_rows, grid.to_world(np.argwhere(mask))),
            "share": share,
            "density": density,
            "rank": [*ranks(density[:-1], total > 0), np.nan],
        }
    )
    return RegionTable(frame, atlas.name, method, target)


def ranks_of(table: RegionTable, regions: Iterable[str]) -> dict[str, int]:
    """Look up the ranks of some regions.

    Parameters
    ----------
    table : RegionTable
    regions : iterable of str
        Names, such as those of the regions that an effect was planted in.

    Returns
    -------
    dict of str to int
        In the order given.

    Raises
    ------
    InputError
        If a region is unknown, or the map is zero everywhere and its regions have no rank.
    """
    named = table.frame[table.frame["label"] != 0]
    by_name = dict(zip(named["region"], named["rank"], strict=True))
    found: dict[str, int] = {}
    for region in regions:
        if region not in by_name:
            raise unknown_name(f"region of {table.atlas}", region, by_name)
        if np.isnan(by_name[region]):
            raise InputError(
                f"The {table.method} map for {table.target} is zero everywhere in the brain, "
                "so its regions have no rank."
            )
        found[region] = int(by_name[region])
    return found


def _inside(
    values: ArrayLike, brain: ArrayLike, grid: Grid
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    mask, array = np.asarray(brain), np.asarray(values)
    for what, given in (("map", array), ("brain mask", mask)):
        if given.shape != grid.shape:
            raise GridError(f"The {what} has shape {given.shape}, its grid {grid.shape}.")
    if mask.dtype != np.bool_ or not mask.any():
        raise InputError("The brain mask must be a boolean array with at least one true voxel.")
    inside: NDArray[np.float64] = array[mask].astype(np.float64)
    if not np.isfinite(inside).all():
        raise InputError("The map has values inside the brain that are not finite.")
    return mask, inside


def region_rows(found: NDArray[np.int32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row of the table of each voxel; the last row for any label without a name."""
    if not len(labels):
        return np.zeros(len(found), dtype=np.int64)
    place = np.minimum(np.searchsorted(labels, found), len(labels) - 1)
    return np.where(labels[place] == found, place, len(labels))


def _peaks(
    inside: NDArray[np.float64], row: NDArray[np.int64], n_rows: int, world: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Value and place of the largest magnitude in each row; NaN where a row has no voxel."""
    order = np.lexsort((inside, np.abs(inside), row))
    rows, last = np.unique(row[order][::-1], return_index=True)
    voxel = order[::-1][last]
    out = {name: np.full(n_rows, np.nan) for name in ("peak", "peak_x", "peak_y", "peak_z")}
    out["peak"][rows] = inside[voxel]
    for axis, name in enumerate(("peak_x", "peak_y", "peak_z")):
        out[name][rows] = np.round(world[voxel, axis], 1)
    return out


def ranks(density: NDArray[np.float64], ranked: bool = True) -> list[float]:
    """Rank densities, the highest first; ties share the worst of their ranks, NaN comes last."""
    if not ranked:
        return [float("nan")] * len(density)
    # Rounding keeps equal regions equal: sums of different length differ in their last digits.
    order = pd.Series(np.nan_to_num(density.round(12), nan=-1.0))
    return [float(rank) for rank in order.rank(ascending=False, method="max")]
