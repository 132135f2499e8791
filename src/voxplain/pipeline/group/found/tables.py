"""Tables of what a test found: clusters with their peaks, and named regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.grid import Grid
from voxplain.group import OUTSIDE
from voxplain.group.permutation import Inference
from voxplain.pipeline.regions.placing import PlacedAtlas

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Places", "cluster_table", "region_tests"]


class Places:
    """Where the voxels of a mask lie, and in which region of each atlas.

    Parameters
    ----------
    mask : array (X, Y, Z), bool
    grid : Grid
    placed : sequence of PlacedAtlas
        On the grid.
    """

    def __init__(self, mask: NDArray[np.bool_], grid: Grid, placed: Sequence[PlacedAtlas]) -> None:
        self.mask, self.grid, self.placed = mask, grid, tuple(placed)
        self.indices = np.argwhere(mask)
        self.labels = [one.atlas.labels[mask] for one in placed]

    def peak(self, voxel: int) -> dict[str, Any]:
        """Tell where a voxel lies: x, y and z in mm, and its region by the first atlas."""
        x, y, z = np.round(self.grid.to_world(self.indices[voxel]), 1).tolist()
        regions = [*self.regions(voxel).values(), "n/a"]
        return {"x": x, "y": y, "z": z, "region": regions[0]}

    def regions(self, voxel: int) -> dict[str, str]:
        """Name the region of a voxel by each atlas."""
        return {
            one.atlas.name: one.atlas.names.get(int(labels[voxel]), OUTSIDE)
            for one, labels in zip(self.placed, self.labels, strict=True)
        }


def cluster_table(found: Inference, places: Places, effect: str) -> pd.DataFrame:
    """List the clusters, the largest mass first.

    Parameters
    ----------
    found : Inference
    places : Places
    effect : str
        What a positive t says.

    Returns
    -------
    pandas.DataFrame
        ``cluster``, ``direction``, ``voxels``, ``volume_ml``, ``mass``, ``peak_t``, ``x``, ``y``,
        ``z`` (mm), ``region`` of the peak, the smallest family-wise ``p_<statistic>`` of its
        voxels, ``true_voxels`` (at least so many are truly different) and their ``true_share``;
        ``region_<atlas>`` by each further atlas.
    """
    import pandas as pd

    rows = []
    for number, cluster in enumerate(found.clusters, start=1):
        true = found.discoveries.count(cluster.voxels)
        rows.append(
            {
                "cluster": number,
                "direction": f"{effect} {'>' if cluster.sign > 0 else '<'} 0",
                "voxels": cluster.size,
                "volume_ml": cluster.size * places.grid.voxel_volume / 1000,
                "mass": cluster.mass,
                "peak_t": float(found.t[cluster.peak]),
                **places.peak(cluster.peak),
                **{f"p_{name}": float(p[cluster.voxels].min()) for name, p in found.p.items()},
                "true_voxels": true,
                "true_share": true / cluster.size,
                **_further(places.regions(cluster.peak)),
            }
        )
    columns = (
        "cluster",
        "direction",
        "voxels",
        "volume_ml",
        "mass",
        "peak_t",
        "x",
        "y",
        "z",
        "region",
    )
    further = _further({one.atlas.name: "" for one in places.placed})
    every = [*columns, *(f"p_{name}" for name in found.p), "true_voxels", "true_share", *further]
    return pd.DataFrame(rows, columns=every)


def _further(regions: dict[str, str]) -> dict[str, str]:
    """Name the columns of all atlases but the first."""
    return {f"region_{name}": region for name, region in [*regions.items()][1:]}


def region_tests(found: Inference, places: Places, number: int) -> pd.DataFrame:
    """List the regions of an atlas, and what no region covers, the smallest p first.

    Parameters
    ----------
    found : Inference
    places : Places
    number : int
        Of the atlas, from 0.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``region``, ``voxels``, ``mean_t``, ``peak_t`` with ``x``, ``y``, ``z`` (mm), the
        smallest family-wise ``p_<statistic>`` of its voxels, corrected over the whole brain,
        ``true_voxels`` and ``true_share``. Regions without a voxel are left out.
    """
    import pandas as pd

    names, labels = dict(places.placed[number].atlas.names), places.labels[number]
    known = np.where(np.isin(labels, [*names]), labels, 0)
    rows = []
    for label in [*sorted(set(names) - {0}), 0]:
        voxels = np.flatnonzero(known == label)
        if not len(voxels):
            continue
        peak = int(voxels[np.abs(found.t[voxels]).argmax()])
        true = found.discoveries.count(voxels)
        where = places.peak(peak)
        rows.append(
            {
                "label": label,
                "region": names[label] if label else OUTSIDE,
                "voxels": len(voxels),
                "mean_t": float(found.t[voxels].mean()),
                "peak_t": float(found.t[peak]),
                **{axis: where[axis] for axis in "xyz"},
                **{f"p_{name}": float(p[voxels].min()) for name, p in found.p.items()},
                "true_voxels": true,
                "true_share": true / len(voxels),
            }
        )
    table = pd.DataFrame(rows)
    first = f"p_{next(iter(found.p))}"
    order = np.lexsort((-table["peak_t"].abs(), table[first]))
    return table.iloc[order].reset_index(drop=True)
