"""The table of effects: how large in each cluster and region, and in how many it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxplain.group.design import Design
from voxplain.group.effects import effects
from voxplain.group.permutation import Inference
from voxplain.pipeline.group.found.tables import Places

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["effect_table"]

_MANY, _FEW = 1024, 256


def effect_table(
    values: NDArray[np.float32],
    found: Inference,
    design: Design,
    places: Places,
    units: Sequence[NDArray[np.int64]],
    seed: int,
) -> pd.DataFrame:
    """Tell the effect on the mean of each cluster and each region.

    Parameters
    ----------
    values : array (N, V), float32
    found : Inference
    design : Design
    places : Places
    units : sequence of array
        Rows that share an effect, see `voxplain.group.effects.effects`.
    seed : int

    Returns
    -------
    pandas.DataFrame
        ``kind`` (cluster or region), ``name``, ``voxels``, ``effect`` with ``effect_low`` and
        ``effect_high`` (in the unit of the maps), ``shown``, ``of``, ``prevalence``,
        ``prevalence_low`` and ``prevalence_high``; ``atlas`` of the region.
    """
    import pandas as pd

    sets = list(_sets(found, places))
    # Of many maps that lie on disk, a few are in memory at a time.
    step = len(values) if len(values) <= _MANY else _FEW
    means = np.stack(
        [
            np.concatenate(
                [
                    values[start : start + step, voxels].mean(axis=1, dtype=np.float64)
                    for start in range(0, len(values), step)
                ]
            )
            for *_, voxels, _ in sets
        ],
        1,
    )
    rows = []
    for (kind, name, voxels, atlas), one in zip(
        sets, effects(means, design, units, seed), strict=True
    ):
        share = one.prevalence
        rows.append(
            {
                "kind": kind,
                "name": name,
                "voxels": len(voxels),
                "effect": one.value,
                "effect_low": one.low,
                "effect_high": one.high,
                "shown": share.shown if share else np.nan,
                "of": share.of if share else np.nan,
                "prevalence": share.value if share else np.nan,
                "prevalence_low": share.low if share else np.nan,
                "prevalence_high": share.high if share else np.nan,
                "atlas": atlas,
            }
        )
    return pd.DataFrame(rows)


def _sets(
    found: Inference, places: Places
) -> Iterator[tuple[str, str, NDArray[np.int64], str | None]]:
    yield "brain", "whole brain", np.arange(len(found.t)), None
    for number, cluster in enumerate(found.clusters, start=1):
        yield "cluster", str(number), cluster.voxels, None
    for placed, labels in zip(places.placed, places.labels, strict=True):
        for label, name in sorted(placed.atlas.names.items()):
            voxels = np.flatnonzero(labels == label)
            if label and len(voxels):
                yield "region", name, voxels, placed.atlas.name
