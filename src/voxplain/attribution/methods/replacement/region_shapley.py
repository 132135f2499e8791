"""Shapley values of regions: each region's fair share of the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from voxplain.attribution.method import Attribution, MethodInfo, Note
from voxplain.attribution.methods.replacement.base import nothing_changes
from voxplain.attribution.methods.replacement.parcels import ParcelMethod
from voxplain.attribution.methods.replacement.shapley import ShapleyTable
from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["RegionShapley"]


@dataclass(frozen=True, eq=False)
class RegionShapley(ParcelMethod):
    """Shapley values of regions, by sampled permutations (Castro et al., 2009).

    Regions join the reference image one by one, in a random order; the value of a region is the
    mean of what its joining adds to the score. Orders come in pairs, one the reverse of the other,
    which cancels much of the sampling error. Where all coalitions cost no more passes than the
    sample, the values are exact. They add up to ``f(x) - f(reference)`` either way.

    The voxels of a region share its value evenly, so that the map adds up too, and so that its sum
    over a region is the region's value. Background that differs from the reference is a region of
    its own. Regions in which image and reference are equal have the value 0 and cost no pass.

    Parameters
    ----------
    permutations : int, default=16
        Number of orders, two for each pair.

    Raises
    ------
    InputError
        If the number is odd or below 2.
    """

    permutations: int = 16

    info: ClassVar[MethodInfo] = MethodInfo(
        name="region-shapley",
        label="Region Shapley values",
        citation="Castro, Gómez & Tejada 2009, doi:10.1016/j.cor.2008.04.004",
        unit="logit",
        sign="positive: the region speaks for the target; negative: against it; its voxels share "
        "its value evenly",
        complete=True,
        passes="at most 16 forward for each region in which image and reference differ",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.permutations < 2 or self.permutations % 2:
            raise InputError(
                "permutations must be an even number of 2 or more, for they come in pairs; "
                f"{self.permutations} was given."
            )

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        replacing = self.start(probe, x, target)
        labels = self.labels(x.shape[2:], probe.voxel_size).to(x.device)
        count = int(labels.max()) + 1
        tables = [
            ShapleyTable(row.nonzero()[:, 0].tolist(), self.permutations // 2, seed)
            for row in replacing.touched(labels, count)
        ]
        scores = [
            {frozenset(table.players): float(full)}
            for table, full in zip(tables, replacing.full, strict=True)
        ]
        asked = [
            (sample, who)
            for sample, table in enumerate(tables)
            for who in table.coalitions
            if who not in scores[sample]
        ]

        def absent(number: int) -> torch.Tensor:
            sample, present = asked[number]
            away = torch.zeros(count, dtype=torch.bool)
            away[[player for player in tables[sample].players if player not in present]] = True
            return away.to(labels.device)[labels]

        found = replacing.scores([sample for sample, _ in asked], absent)
        for (sample, who), score in zip(asked, found.tolist(), strict=True):
            scores[sample][who] = score
        worth = torch.zeros(len(x), count, dtype=torch.float64)
        told = []
        for sample, table in enumerate(tables):
            shares, words = table.values(scores[sample])
            worth[sample, list(table.players)] = torch.from_numpy(shares)
            told.append((Note(words), Note(f"{len(scores[sample])} forward passes")))
        sizes = labels.flatten().bincount(minlength=count).clamp(min=1).cpu()
        values = (worth / sizes)[:, labels.cpu()]
        notes = tuple(
            (*words, *doubts) for words, doubts in zip(told, nothing_changes(values), strict=True)
        )
        return Attribution(values, replacing.chosen, notes)
